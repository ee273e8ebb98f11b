"""Jobs on a cluster by Ray's job server: what must hold before, the way there, and the log back.

Begin with `jobs`; `checks` is what can be refused on this machine, `upload` what would travel.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
