"""Clips into tars: which clip lies in which shard, and the writer.

The same clips give the same bytes, on any number of workers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
