"""Models over all clips of a dataset, as jobs that write a sequence of frames for each clip.

`frame_job` is the job, which embed, label and score share; `layers` and `weights` say what of
which model is applied; `calibrate` readies an encoder for the recordings at hand.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
