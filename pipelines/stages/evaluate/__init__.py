"""evaluate: scores compared with strong labels, as numbers and pictures.

It runs in the driver; the metrics themselves are in `pmam/metrics`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
