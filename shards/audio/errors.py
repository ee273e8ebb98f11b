"""What is wrong with audio, in one line."""

from shards.errors import ShardsError


class AudioError(ShardsError, ValueError):
    """Audio that cannot be used; the message is one line and names the file."""


def damaged(name: str, what: str, *, byte: int, second: float | None = None) -> AudioError:
    """A file with a gap or a bad part: what, and where in the file and in the sound."""
    where = f"at byte {byte}" if second is None else f"after {second:.3f} s, at byte {byte}"
    return AudioError(f"{name}: damaged {where} ({what}); restore it from its source")


def truncated(name: str, what: str) -> AudioError:
    """A file that ends before its sound does."""
    return AudioError(f"{name}: truncated ({what}); copy it again, or convert what is there")


def one_line(error: Exception) -> str:
    """The library's reason, without the Python object that it names."""
    return " ".join(str(error).split()).split(">: ")[-1]
