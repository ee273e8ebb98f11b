"""The trainer: optimizer steps, schedules, groups of parameters, precision.

One loop for each objective; it knows nothing of files and nothing of Ray.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
