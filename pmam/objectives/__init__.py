"""What training minimises: masked prediction of prototypes, and the mean teacher.

`masked_prediction` is the loss of masked frames, `mean_teacher` that of fine-tuning; `losses` has
those of one frame.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
