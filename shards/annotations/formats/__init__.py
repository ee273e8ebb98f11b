"""A file for each annotation format; `shards.annotations.registry` has a line for each."""
