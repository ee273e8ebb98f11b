"""One's own recordings: subsets in folders, or recordings with annotations beside them.

`layout` is where to begin; `annotations` finds which file of annotations is about which recording.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
