"""Audio bytes to samples and back: decoding, encoding, levels, silence.

Samples are float32 in [-1, 1]; a file that is shorter than it says is refused.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
