"""Frame sequences in Arrow files: embeddings, encoder inputs, posteriors, scores.

One file per audio shard, one row per clip, random access by key.
"""
