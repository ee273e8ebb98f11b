"""Augmentations of training examples: pure functions of random numbers that are drawn apart.

`chain` applies what `settings` asks for, in one order, to student and teacher.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
