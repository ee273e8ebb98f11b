"""Storage: labelled audio in WebDataset tars, an index beside them, and who reads and writes both.

What others may use stands in `__init__.pyi`, here and in most rooms; it is imported when asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
