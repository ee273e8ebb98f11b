"""evaluate: scores compared with strong labels, as numbers and pictures.

It runs in the driver.
"""
