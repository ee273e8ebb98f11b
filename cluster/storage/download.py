"""Files from http, https or s3 to a local cache: checked, and continued where they broke."""

import contextlib
import fcntl
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

from cluster.errors import ClusterError
from cluster.storage.filesystems import filesystem
from cluster.storage.redact import shown_url
from cluster.storage.urls import absolute

TIMEOUT_S = 30
BLOCK_BYTES = 1 << 20
PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses worth another try
BY_HAND = "or download it by hand and give the file's path"

Progress = Callable[[int, int | None], None]
Waits = Callable[[], Iterator[float]]  # seconds to wait before each further try, anew
GiveName = Callable[[Path, Path], None]


class FetchError(ClusterError, OSError):
    """A file that could not be fetched; the message is one line and holds no credential."""


def cache_folder() -> Path:
    """`PMAM_CACHE`, or `~/.cache/pmam`."""
    return Path(os.environ.get("PMAM_CACHE") or "~/.cache/pmam").expanduser()


def fetch(
    url: str,
    *,
    waits: Waits,
    give_name: GiveName,
    sha256: str | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """A file as a local path: itself where it is local, else a copy in the cache.

    A download goes on where it broke, in this call and in a later one. It gets its final name
    when it is whole and its sha256 is right; several processes may fetch one file at once.

    Args:
        url: `http(s)://`, `s3://`, `file://` or a path.
        waits: before each further try; begun anew whenever the download gets on.
        give_name: moves what is whole to its final name.
        sha256: of the file. Without it a copy from before is not trusted, and fetched anew.
        folder: of the cache; None: `cache_folder()`.
        progress: called with the bytes so far and in all (None where the server does not say).

    Raises:
        FetchError: no such file, another sha256, no answer, or no space.
        StorageError: the URL is malformed.
    """
    url, shown = absolute(url), shown_url(url)
    if "://" not in url:
        local = Path(url)
        if not local.is_file():
            raise FetchError(f"{shown}: no such file; check the path")
        try:
            _check(local, sha256, shown, "check that it is the right file")
        except PermissionError as error:
            raise FetchError(f"{shown}: {error.strerror}; check who may read it") from error
        return local
    folder = cache_folder() if folder is None else folder
    identity = sha256 or hashlib.sha256(url.encode()).hexdigest()
    name = re.sub(r"[^\w.+-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name)[-100:]
    final = folder / f"{identity[:12]}-{name}"
    partial = final.with_name(f"{final.name}.partial")
    with _explained(folder), _alone(final.with_name(f"{final.name}.lock")):
        if sha256 is not None and final.is_file() and _digest(final) == sha256:
            return final
        if sha256 is None:
            partial.unlink(missing_ok=True)  # nothing would tell that it belongs to this file
        continued = partial.exists()
        _download(url, partial, waits, progress, checked=sha256 is not None)
        if continued and _digest(partial) != sha256:  # begun from other bytes under this URL
            partial.unlink()
            _download(url, partial, waits, progress, checked=sha256 is not None)
        try:
            _check(partial, sha256, shown, f"try again, correct the sha256, {BY_HAND}")
        except FetchError:
            partial.unlink()
            raise
        give_name(partial, final)
    return final


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What a server sends: from which byte on, and of how many in all."""

    start: int
    total: int | None
    version: str | None  # stands for the bytes, where the server tells
    read: Callable[[int], bytes]


def _download(
    url: str, partial: Path, waits: Waits, progress: Progress | None, *, checked: bool
) -> None:
    """All of the file into `partial`, from where that ends.

    Where no sha256 is checked later, it goes on only if the server tells versions apart.
    """
    ask = _http if urlsplit(url).scheme in ("http", "https") else _object
    with partial.open("ab", buffering=0) as file:
        furthest, tries, version = file.tell(), 0, None
        left = waits()
        while True:
            try:
                start = file.tell() if checked or version else 0
                with ask(url, start, version) as answer:
                    version = answer.version
                    _receive(answer, file, progress)
                return
            except FetchError:
                file.truncate(0)  # the disk failed: leave it no fuller
                raise
            except (OSError, http.client.HTTPException) as error:
                reason = f"{shown_url(url)}: {_reason(error)}"
                if _is_final(error):
                    raise FetchError(
                        f"{reason}; check the address and the rights, {BY_HAND}"
                    ) from None
            if file.tell() > furthest:  # it gets on
                furthest, tries, left = file.tell(), 0, waits()
            tries += 1
            if (wait_s := next(left, None)) is None:
                raise FetchError(
                    f"{reason}, {tries} times; check the network and run it again, {BY_HAND}"
                )
            time.sleep(wait_s)


def _receive(answer: _Answer, file: IO[bytes], progress: Progress | None) -> None:
    if answer.start > file.tell():
        raise OSError(f"got bytes from {answer.start} on, asked for those from {file.tell()} on")
    file.truncate(answer.start)
    file.seek(answer.start)
    while block := answer.read(BLOCK_BYTES):
        with _explained(Path(file.name).parent):
            left = memoryview(block)
            while left:
                left = left[file.write(left) :]
        if progress is not None:
            progress(file.tell(), answer.total)
    if answer.total is not None and file.tell() != answer.total:
        raise OSError(f"got {file.tell()} of {answer.total} bytes")


@contextlib.contextmanager
def _http(url: str, start: int, version: str | None) -> Iterator[_Answer]:
    headers = {"User-Agent": "pmam"}
    ranges = {"Range": f"bytes={start}-"} if start else {}
    if start and version is not None:
        ranges["If-Range"] = version
    try:
        response = _open(url, headers | ranges)
    except urllib.error.HTTPError as error:
        error.close()
        if not (start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            raise
        response = _open(url, headers)  # it is not longer than what we have: from the start
    with response:
        # Some servers answer a range with status 200: what counts is Content-Range.
        sent = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        total = sent[2] if sent else response.headers.get("Content-Length", "*")
        tag = response.headers.get("ETag", "W/")
        yield _Answer(
            start=int(sent[1]) if sent else 0,
            total=None if total == "*" else int(total),
            version=None if tag.startswith("W/") else tag,  # a weak tag is not for ranges
            read=response.read,
        )


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """A request of a URL that is known to be http or https."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    return response


@contextlib.contextmanager
def _object(url: str, start: int, version: str | None) -> Iterator[_Answer]:
    source, path = filesystem(url)
    with source.open_input_file(path) as file:
        now = f"{source.get_file_info(path).mtime_ns} {file.size()}"
        if start > file.size() or version not in (None, now):
            start = 0
        file.seek(start)
        yield _Answer(start=start, total=file.size(), version=now, read=file.read)


def _is_final(error: Exception) -> bool:
    """Whether trying again cannot help."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code not in PASSING
    denied = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "NO_SUCH")
    return isinstance(error, FileNotFoundError) or any(code in str(error) for code in denied)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP status {error.code} ({error.reason})"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
    return " ".join(str(said).split()) or type(error).__name__


def _check(file: Path, sha256: str | None, shown: str, advice: str) -> None:
    if sha256 is not None and (got := _digest(file)) != sha256:
        raise FetchError(f"{shown}: got sha256 {got}, expected {sha256}; {advice}")


def _digest(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Errors of the disk say which folder they are about."""
    try:
        yield
    except FetchError:
        raise
    except OSError as error:
        raise FetchError(
            f"{folder}: {error.strerror or error}; free some space there, check who may write "
            "there, or set PMAM_CACHE to another folder"
        ) from error


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time; a killed one leaves it free."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
