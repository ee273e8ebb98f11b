"""detect: events in audio files of any length, rate and number of channels.

`stage` goes over files, here or as a Ray Data job; `file` is one of them as a stream.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
