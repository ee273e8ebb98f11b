"""Errors that a person can act on; whatever else is raised is a bug of ours."""


class UserError(Exception):
    """What was got, what was expected and what to do: enough to act on without a traceback."""


class InputError(UserError, ValueError):
    """A setting, a file or data that cannot be used as it is."""
