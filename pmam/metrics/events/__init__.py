"""Events and segments that are right, false or missed, at chosen thresholds.

`count_table` holds the counts, from which F1, precision, recall and error rates follow.
"""
