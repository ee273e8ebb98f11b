"""Commands on datasets and tables: what they hold, whether it is whole, other forms of it.

`verify` checks every byte, `reindex` makes new indexes, `inspect` is the data doctor, `convert`
changes annotations.
"""
