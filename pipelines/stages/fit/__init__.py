"""fit: prototypes of embeddings, in one process or on workers, for one or several K.

Begin with `stage`; `workers` is the job, `candidate` one fit, and `em` where the statistics of all
workers are added up in each iteration; `choice` picks among several fits.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
