"""From frame scores to events and from events to frame targets.

Windows of long recordings are joined here, smoothed, and cut into events.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
