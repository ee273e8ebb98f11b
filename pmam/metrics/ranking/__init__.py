"""How well scores rank frames, segments or clips, without any threshold.

`areas` has the areas under curves that the others apply.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
