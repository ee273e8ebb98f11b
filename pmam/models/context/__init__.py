"""Context networks: what a frame learns from the frames around it.

`registry` has them by name: Transformer-XL blocks as published, a GRU, a conformer, none.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
