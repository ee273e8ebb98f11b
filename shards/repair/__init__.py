"""What is broken in a dataset, and what of it can be rebuilt.

This is what `pmam verify` does: `verification` goes over shards, `restore` rebuilds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
