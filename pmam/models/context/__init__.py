"""Context networks: what a frame learns from the frames around it.

Transformer-XL blocks as published, a GRU and a conformer.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
