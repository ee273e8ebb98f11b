"""Folders in stores, byte ranges of their files, and a local cache of what was read.

Begin with `store`, local or in a bucket, where nothing is visible under its name until it is whole;
`range_reader` joins ranges, `disk_cache` keeps them, `retry` tries again.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
