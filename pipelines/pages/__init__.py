"""Pages of HTML that need nothing else: templates, in which all text of datasets is escaped.

`render` fills them in; what goes into each is decided by the stage whose page it is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
