"""Clips into tars: which clip lies in which shard, and the writer.

The same clips give the same bytes, on any number of workers.
"""
