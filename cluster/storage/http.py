"""Files behind http(s) URLs by byte range, read-only, as a `pyarrow` filesystem.

Paths are whole URLs. A server tells neither what a folder holds nor takes files; one that answers
no byte ranges is refused, since any read of it would be of the whole file.
"""

import email.utils
import http.client
import io
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.fs as pafs

from cluster.errors import ClusterError
from cluster.storage.redact import shown_url

TIMEOUT_S = 60
HEADERS = {"User-Agent": "pmam", "Accept-Encoding": "identity"}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class RemoteError(ClusterError, OSError):
    """A file behind a URL that cannot be read; the message is one line and names it."""


class MissingRemoteError(RemoteError, FileNotFoundError):
    """A file that the server does not have."""


class ForbiddenRemoteError(RemoteError, PermissionError):
    """A file that the server does not give."""


class ChangedRemoteError(RemoteError):
    """A file that is another one than when it was opened."""

    final = True  # what was read before and what comes now do not belong together


class NoRangesError(ClusterError, ValueError):
    """A server without byte ranges; the message is one line."""


class RemoteFile(NamedTuple):
    """What a server tells of a file."""

    size: int  # bytes
    version: str  # its ETag, else its time of change; empty where the server tells neither
    changed_s: float | None  # since 1970


def http_filesystem() -> pafs.FileSystem:
    """The filesystem of all http(s) URLs."""
    return pafs.PyFileSystem(_Handler())


def remote_file(url: str) -> RemoteFile:
    """Size and version of a file, by a request of its first byte.

    Raises:
        MissingRemoteError, ForbiddenRemoteError: the server says so.
        NoRangesError: it answers no byte ranges.
        RemoteError: it could not be reached.
    """
    try:
        _, found = _get(url, 0, 1)
    except _EmptyError:
        return RemoteFile(0, "", None)
    return found


def _get(url: str, offset: int, size: int) -> tuple[bytes, RemoteFile]:
    """The bytes `[offset, offset + size)` of a file, which has them, and what it is."""
    shown = shown_url(url)
    headers = {**HEADERS, "Range": f"bytes={offset}-{offset + size - 1}"}
    try:
        with urllib.request.urlopen(  # noqa: S310
            urllib.request.Request(url, headers=headers),  # noqa: S310
            timeout=TIMEOUT_S,
        ) as response:
            sent = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status != http.HTTPStatus.PARTIAL_CONTENT or sent is None:
                raise NoRangesError(
                    f"{shown}: the server answers no byte ranges (status "
                    f"{response.status} to a request with Range), without which a part of a file "
                    "cannot be read: copy it; tars can be packed as they are, by `pmam pack "
                    "--source webdataset`"
                )
            first, last, total = map(int, sent.groups())
            if (first, last) != (offset, min(offset + size, total) - 1):
                raise RemoteError(
                    f"{shown}: got bytes {first} to {last}, asked for {size} from {offset} on"
                )
            data = response.read()
            if len(data) != last + 1 - first:
                whole = last + 1 - first
                raise RemoteError(f"{shown}: got {len(data)} of {whole} bytes at {offset}")
            return data, _file(response, total)
    except urllib.error.HTTPError as error:
        error.close()
        raise _status(url, error) from None
    except urllib.error.URLError as error:
        raise RemoteError(f"{shown}: {error.reason}") from None
    except http.client.HTTPException as error:
        raise RemoteError(f"{shown}: {type(error).__name__}: {error}") from None
    except TimeoutError:
        raise RemoteError(f"{shown}: no answer within {TIMEOUT_S} s") from None
    except ConnectionError as error:
        raise RemoteError(f"{shown}: {error.strerror or error}") from None


def _file(response: http.client.HTTPResponse, size: int) -> RemoteFile:
    told = response.headers.get("Last-Modified", "")
    try:
        changed_s = email.utils.parsedate_to_datetime(told).timestamp()
    except ValueError:
        changed_s = None
    return RemoteFile(size, response.headers.get("ETag") or told, changed_s)


class _EmptyError(RemoteError):
    """A file that has no byte at the offset."""


def _status(url: str, error: urllib.error.HTTPError) -> RemoteError:
    shown = shown_url(url)
    if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return MissingRemoteError(f"{shown}: no such file")
    if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return ForbiddenRemoteError(f"{shown}: HTTP status {error.code} ({error.reason})")
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _EmptyError(f"{shown}: no byte there")
    return RemoteError(f"{shown}: HTTP status {error.code} ({error.reason})")


class _RemoteReader(io.RawIOBase):
    """A file for random access: a request for each read."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._found, self._at = url, remote_file(url), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._found.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._found.size - self._at))
        if wanted == 0:
            return 0
        data, now = _get(self._url, self._at, wanted)
        if (now.size, now.version) != (self._found.size, self._found.version):
            raise ChangedRemoteError(
                f"{shown_url(self._url)}: the file changed while it was read; read it anew"
            )
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Handler(pafs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """What `pyarrow` asks of a filesystem; nothing here changes a server."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handler)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_Handler)

    def get_type_name(self) -> str:
        return "http"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[pafs.FileInfo]:
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> pafs.FileInfo:
        try:
            found = remote_file(path)
        except FileNotFoundError:
            return pafs.FileInfo(path, pafs.FileType.NotFound)
        return pafs.FileInfo(path, pafs.FileType.File, size=found.size, mtime=found.changed_s)

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(_RemoteReader(path), mode="r")

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> NoReturn:
        raise NoRangesError(
            f"{shown_url(selector.base_dir)}: a server of http does not tell what a folder holds: "
            "name the files, such as https://host/train-{000..120}.tar"
        )

    def _refuse(self, path: object = "", *_: object) -> NoReturn:
        raise ForbiddenRemoteError(f"{shown_url(str(path))}: http(s) URLs are read only")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refuse
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refuse
