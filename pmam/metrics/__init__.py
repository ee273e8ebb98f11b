"""Numbers that say how good a detector is.

`registry` has them by name; each is a function of an `EvaluationSet`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
