"""prototypes: what each prototype is, by its clips to see and hear and by known labels.

`survey` reads the posteriors, `report` says it in plain values, `excerpts` and `page` show it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
