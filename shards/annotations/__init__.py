"""Annotations: events in files, in the formats of those who mark, draw or detect them.

`FORMATS` in `registry` has a line for each format, and `formats/` a file; `event` is what all of
them are read to and written from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
