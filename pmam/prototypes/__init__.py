"""Prototypes: the artifact that a fit leaves, what it is used for, and how far it moved.

A prototype is a component of the mixture; its posteriors are the pseudo labels of frames. Begin
with `artifact`; `usage` and `drift` watch it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
