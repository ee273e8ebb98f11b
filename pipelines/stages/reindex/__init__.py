"""reindex: datasets that share the audio of others.

The edits themselves are in `shards/editing`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
