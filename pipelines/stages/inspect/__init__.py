"""inspect: what is doubtful in a dataset, measured on workers, shown on a page.

The checks themselves are in `shards/quality`.
"""
