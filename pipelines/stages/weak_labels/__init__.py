"""train-weak: networks trained on weak labels alone, fold by fold, and figures of what they do.

`stage.py`: the training of one fold; `report.py`: the table of all folds; `figures.py`: attention
and reconstruction of single clips.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
