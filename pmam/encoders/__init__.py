"""The frame encoders, waveforms in and frames out, each with its own data in its own file or room.

`registry` has them by name; `base` says what each of them is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
