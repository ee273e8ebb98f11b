"""pack: clips of any source into shards with an index.

Foreign shards that come as streams are copied first (`streams`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
