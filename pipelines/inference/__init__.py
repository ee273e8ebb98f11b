"""Models over all clips of a dataset, as Ray Data jobs that write frame sequences.

Embeddings, posteriors and scores are one job with different layers.
"""
