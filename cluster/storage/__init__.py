"""Filesystems behind URLs, their credentials, and downloads that are checked.

`filesystems` opens a folder at a URL, anew in each process, so that no credential travels; `s3` and
`http` are kinds of them, `download` fetches single files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
