"""fit: prototypes of embeddings, in one process or on workers, for one or several K.

Begin with `stage`; `workers` is the job, `candidate` one fit. EM itself is in `pmam/mixture/em.py`,
the choice among several fits in `pmam/mixture/model_selection.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
