"""What is doubtful in a dataset: levels, lengths, labels, leakage between subsets.

This is what `pmam inspect` measures: `report` puts together what the other files find.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
