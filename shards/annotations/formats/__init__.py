"""A file for each annotation format; `shards/annotations/registry.py` has a line for each."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
