"""pack: clips of any source into shards with an index.

Foreign shards that come as streams are copied first (`streams`).
"""
