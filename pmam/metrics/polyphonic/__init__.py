"""What PSDS counts: detections at every threshold, and the score made of them.

Begin with `psds`; `segments` finds what each threshold detects, `intersections` judges it.
"""
