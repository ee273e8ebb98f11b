"""Work on all workers of a machine or cluster, and what they say meanwhile.

`parallel_map` is a job over shards, `worker_group` a training on several workers; `reach` joins a
cluster, and `nodes` says which of its nodes take part.
"""
