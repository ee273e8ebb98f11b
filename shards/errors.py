"""Errors that a person can act on: what was got, what was expected and what to do, in one line.

Each class of the package derives from `ShardsError`; any other exception out of it is a bug.
"""

import contextlib
import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

E = TypeVar("E", bound=Exception)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# As servers and clients spell them: ACCESS_DENIED, AccessDenied, "HTTP status 403" ...
_DENIED = (
    *("accessdenied", "invalidaccesskeyid", "signaturedoesnotmatch", "expiredtoken"),
    *("invalidtoken", "tokenrefreshrequired", "requesttimetooskewed", "unrecognizedclient"),
    *("httpstatus401", "httpstatus403"),
)
_CREDENTIALS = (
    "check the credentials and whether they have expired (for S3: AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN)"
)
SHOWN = 20  # of many errors that are told at once
# A request for what an object is gets an answer without a text: so 400 is all that is told of a
# session token that has expired.
_REFUSED_UNTOLD = ("httpstatus400", "noresponsebody")
_NO_BUCKET = ("nosuchbucket", "invalidbucketname")


class ShardsError(Exception):
    """The base of all errors of this package that a person can act on."""


class SettingsError(ShardsError, ValueError):
    """A setting or an argument out of its range."""


class SourceError(ShardsError, ValueError):
    """A source or table that cannot be read as it is; the message names the file."""


class FrameError(ShardsError, ValueError):
    """Frame sequences that cannot be written, or a file that does not hold what was expected."""


class StoreError(ShardsError, OSError):
    """A read or write that failed; the message is one line: the path, why, and what to do."""


class MissingFileError(StoreError, FileNotFoundError):
    """A file that is not there."""


def needs_a_person(error: OSError) -> bool:
    """Whether trying again cannot help."""
    if isinstance(error, FileNotFoundError | PermissionError) or getattr(error, "final", False):
        return True
    return _is_of(str(error), (*_DENIED, *_NO_BUCKET)) or _is_refused_untold(str(error))


def _is_refused_untold(text: str) -> bool:
    return all(_is_of(text, (part,)) for part in _REFUSED_UNTOLD)


def _is_of(text: str, codes: tuple[str, ...]) -> bool:
    plain = re.sub("[ _]", "", text).lower()
    return any(code in plain for code in codes)


def explained(path: object, error: OSError, tries: int = 1) -> StoreError:
    """An error of a file system as one line that names the file and says what to do."""
    if isinstance(error, StoreError):
        return error
    path = shown_path(str(path))
    if isinstance(error, FileNotFoundError):
        return MissingFileError(f"{path}: no such file; check the path")
    reason = " ".join((error.strerror or str(error)).split()).removeprefix(f"{path}: ").rstrip(".")
    if error.errno in _FULL:
        advice = "free some space there, or choose another folder"
    elif error.errno in _FORBIDDEN:
        advice = "check who may write there, or choose another folder"
    elif _is_of(reason, _DENIED):
        advice = _CREDENTIALS
    elif _is_refused_untold(reason):
        advice = (
            f"most often a session token that has expired: {_CREDENTIALS}; else check "
            "AWS_ENDPOINT_URL and AWS_REGION"
        )
    elif _is_of(reason, _NO_BUCKET):
        advice = "create the bucket, or correct its name"
    elif tries > 1:
        reason = f"{reason}, {tries} times"
        advice = "check the network and the server (for S3: AWS_ENDPOINT_URL), then run it again"
    else:
        advice = "check the path and the disk"
    return StoreError(f"{path}: {reason}; {advice}")


def shown_path(path: str) -> str:
    """A path as messages may show it: of a URL without user, password and query."""
    scheme, mark, rest = path.partition("://")
    return f"{scheme}{mark}{rest.split('?')[0].rpartition('@')[2]}" if mark else path


@contextlib.contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Errors of the file system inside the block as a `StoreError` that names the file.

    For code that opens local files itself; what goes through a `Store` is told there.
    """
    try:
        yield
    except ShardsError:
        raise
    except OSError as error:
        raise explained(path, error) from error


def told(messages: Sequence[str]) -> str:
    """The first of many messages in one line, and how many more there are."""
    rest = len(messages) - SHOWN
    return "; ".join(messages[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def several(errors: Sequence[E]) -> E:
    """One error that tells of all, of the kind of the first; see `told`."""
    if len(errors) == 1:
        return errors[0]
    one = type(errors[0])(f"{len(errors)} faults: {told([str(error) for error in errors])}")
    one.errors = list(errors)  # type: ignore[attr-defined]
    return one


class Faults:
    """Collects errors of single files or rows, so that all of them are told at once.

    Args:
        kinds: the classes of errors that are collected; others pass.
    """

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds
        self.errors: list[Exception] = []

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """An error in the block is kept."""
        try:
            yield
        except self._kinds as error:
            self.errors += getattr(error, "errors", [error])  # those of one that tells of several

    def check(self) -> None:
        """Raise what was collected, if anything, as one error; see `several`."""
        if self.errors:
            raise several(self.errors)
