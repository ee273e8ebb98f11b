"""The masked audio model and the detector, and the checkpoints that hold them.

A model is an encoder, a context network over its frames, and a head.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
