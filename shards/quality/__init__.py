"""What is doubtful in a dataset: levels, lengths, labels, leakage between subsets.

This is what `pmam inspect` measures.
"""
