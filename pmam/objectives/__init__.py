"""What training minimises: masked prediction of prototypes, and the mean teacher.

Losses of one frame are in `losses`; masks, teachers and signs of collapse are here.
"""
