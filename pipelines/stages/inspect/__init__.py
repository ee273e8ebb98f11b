"""inspect: what is doubtful in a dataset, measured on workers, shown on a page.

The checks themselves are in `shards/quality`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
