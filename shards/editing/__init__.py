"""New indexes over audio that stays where it is: labels, merges, filters, tars of others.

This is what `pmam reindex` does.
"""
