"""K-means, PCA and what tells how many clusters there are.

All of them read frames in blocks, so that no set of frames must fit in memory.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
