"""K-means, PCA and what tells how many clusters there are.

`kmeans` and `pca` read frames in blocks, so that no set of frames must fit in memory; `silhouette`
and `ppca_residual` judge them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
