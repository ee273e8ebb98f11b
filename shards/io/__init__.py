"""Folders in stores, byte ranges of their files, and a local cache of what was read.

A store is local or in a bucket; nothing is visible under its name until it is whole.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
