"""Where clips come from: a file per kind of source, and a line each in `registry.SOURCES`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
