"""Training batches: the order of an epoch, reads ahead, and the loader.

The order is a pure function of (seed, epoch), in `block_order` and `sampling`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
