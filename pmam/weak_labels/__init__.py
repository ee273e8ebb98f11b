"""Sound events from weak labels alone: clips whose labels have no times (MTL, arXiv 2008.07085).

`networks.py`: the five published networks; `detector.py`: one as a detector; `objective.py`: its
training, where the clip's labels and the reconstruction of its input are learnt together.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
