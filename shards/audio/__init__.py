"""Audio bytes to samples and back: decoding, encoding, levels, silence.

Begin with `decoding`; `containers` decides what a whole file is, `encoding` writes. Samples are
float32 in [-1, 1].
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
