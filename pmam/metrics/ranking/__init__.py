"""How well scores rank frames, segments or clips, without any threshold.

`areas` has the areas under curves that the others apply.
"""
