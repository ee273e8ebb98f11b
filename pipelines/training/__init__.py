"""Training as Ray Train jobs: batches from shards, the loop, what it records.

The same loop pretrains and fine-tunes, in one process or in a worker group.
"""
