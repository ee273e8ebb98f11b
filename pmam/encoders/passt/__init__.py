"""PaSST, the patchout transformer of AudioSet, by itself and beside a convolutional branch.

`encoder` makes frames of `transformer`; `with_cnn` adds the branch (arXiv 2409.17656, section 3).
Source: arXiv 2110.05069.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
