"""Commands on datasets and tables: what they hold, whether it is whole, other forms of it.

`dataset` verifies and reindexes, `inspect` is the data doctor, `convert` changes annotations.
"""
