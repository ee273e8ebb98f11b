"""checkpoint and import: what others published, told and taken over.

The formats themselves are in `pmam/models/importers`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
