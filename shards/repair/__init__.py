"""What is broken in a dataset, and what of it can be rebuilt.

This is what `pmam verify` does.
"""
