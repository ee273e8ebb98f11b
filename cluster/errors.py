"""Errors that a person can act on: what was got, what was expected and what to do, in one line.

Each class of the package derives from `ClusterError`; any other exception out of it is a bug.
"""


class ClusterError(Exception):
    """The base of all errors of this package that a person can act on."""
