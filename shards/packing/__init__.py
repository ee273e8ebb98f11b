"""Clips into tars: which clip lies in which shard, and the writer.

`plan` lays clips out, `writer` writes them: the same bytes on any number of workers. `tar_scan`
reads what is in a tar.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
