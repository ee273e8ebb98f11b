"""The masked audio model and the detector, and the checkpoints that hold them.

`masked_audio_model` and `detector` are a `backbone` (an encoder, and a context network over its
frames) with a head; `checkpoint` stores them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
