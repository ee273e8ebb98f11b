"""reindex: datasets that share the audio of others.

The edits themselves are in `shards/editing`.
"""
