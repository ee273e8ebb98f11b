"""Labelled mixtures of recordings: which event where and how loud, and the samples.

`plan` draws scenes, `render` makes samples of them: the same settings give the same bytes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
