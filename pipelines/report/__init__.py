"""What came out of runs: a page to look at and listen to, and a card beside each detector.

`write` begins; `contents` says what a run's folder holds, the other files what is said of it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
