"""The trainer: optimizer steps, schedules, groups of parameters, precision.

`trainer` takes one step of any objective, knowing nothing of files and nothing of Ray; the loop
over steps is `pipelines/training/loop.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
