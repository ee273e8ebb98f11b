"""What training minimises: masked prediction of prototypes, and the mean teacher.

Losses of one frame are in `losses`; masks, teachers and signs of collapse are here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
