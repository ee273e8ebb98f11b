"""Filesystems behind URLs, their credentials, and downloads that are checked.

A folder at a URL is opened anew in each process, so that no credential travels.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
