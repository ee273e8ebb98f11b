"""What training refuses."""

from collections.abc import Iterable

from pmam.errors import UserError


class TrainingError(UserError, RuntimeError):
    """A loss that is no number: what was kept is the last checkpoint.

    Args:
        message: for people.
        parts: (rank, part) of the micro-batches whose loss it is; empty where none stands out.
    """

    def __init__(self, message: str, parts: Iterable[tuple[int, int]] = ()) -> None:
        super().__init__(message)
        self.parts = tuple(parts)
