"""Events and segments that are right, false or missed, at chosen thresholds.

`count_table` holds the counts, from which F1, precision, recall and error rates follow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
