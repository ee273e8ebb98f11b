"""New indexes over audio that stays where it is: labels, merges, filters, tars of others.

This is what `pmam reindex` does: `relabel`, `filter`, `merge`, and `foreign` for tars of others.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
