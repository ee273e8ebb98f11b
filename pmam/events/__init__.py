"""From frame scores to events and from events to frame targets.

`decoding` cuts scores into events, `targets` makes frame labels of events; `streaming` and
`overlap_add` join windows of long recordings, `postprocessing` smooths.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
