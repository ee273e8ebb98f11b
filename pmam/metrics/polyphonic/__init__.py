"""What PSDS counts: detections at every threshold, and the score made of them.

Begin with `psds`; `segments` finds what each threshold detects, `intersections` judges
it, `class_counts` counts, `roc` draws the curve.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
