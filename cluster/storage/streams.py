"""Files read once from start to end by WebDataset's own readers: http(s), hf, ais, pipe: ...

`webdataset` is imported where it is used, since it loads torch. Its readers call programs such as
curl with lists of arguments, but for `pipe:`, whose text is a command of the shell: that needs the
caller's word. Its rewriting of URLs by the environment (GOPEN_REWRITE) is left out, since it could
make a command of any URL.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.storage.redact import shown_url
from cluster.storage.urls import PIPE, StorageError, absolute

# Schemes of `webdataset.gopen` that pyarrow has no filesystem for, and those that have one here but
# whose files are better read in one go.
SCHEMES = ("http", "https", "hf", "htgs", "ais", "sftp", "ftps", "scp")
BLOCK_BYTES = 1 << 20
# What curl ends with where a connection broke: trying again can help.
BROKEN = (18, 28, 52, 55, 56, 92)


class StreamError(ClusterError, OSError):
    """A stream that cannot be read to its end; the message is one line and holds no credential."""

    passing = False  # whether trying again may help


def is_stream(spec: str) -> bool:
    """Whether a list of shards is of URLs that are read as streams."""
    return any(_scheme(part) in (*SCHEMES, "pipe") for part in spec.split("::"))


def expand_streams(spec: str, *, allow_pipe: bool = False) -> list[str]:
    """The URLs of a list as WebDataset users write it: `{000..120}`, `::` between, `${NAME}`.

    `${NAME}` is the environment's `WDS_NAME`.

    Args:
        spec: the list.
        allow_pipe: whether commands, `pipe:...`, may be among them.

    Raises:
        StorageError: it cannot be understood, has a password in it, or holds a command that is
            not allowed or something that is no stream.
    """
    from webdataset.shardlists import expand_urls

    try:
        urls: list[str] = expand_urls(spec)
    except (AssertionError, ValueError) as error:
        raise StorageError(f"{shown_url(spec)}: no list of shards ({error})") from error
    return [_allowed(url, allow_pipe) for url in urls]


def _allowed(url: str, allow_pipe: bool) -> str:
    scheme = _scheme(url)
    if scheme == "pipe":
        if not allow_pipe:
            raise StorageError(
                f"{PIPE} runs a command of the shell, and is refused here: only `pmam pack "
                "--source webdataset` takes it, typed on its command line with --allow-pipe"
            )
        if not url.startswith(PIPE) or not url.removeprefix(PIPE).strip():
            raise StorageError(f"{url}: expected {PIPE} and a command")
        return url
    if scheme not in SCHEMES:
        raise StorageError(
            f"{shown_url(url)}: no stream, among others that are: give one kind of place alone"
        )
    return _plain(absolute(url))


def _plain(url: str) -> str:
    """The same URL for curl, to which `[1-3]` in a path is three files, read as if they were one.

    Brackets around the address of a host stay: there they mean no such thing.
    """
    host, mark, path = url.partition("://")[2].partition("/")
    if not mark:
        return url
    path = path.translate({ord("["): "%5B", ord("]"): "%5D"})
    return f"{url.partition('://')[0]}://{host}/{path}"


def _scheme(url: str) -> str:
    scheme, mark, rest = url.partition(":")
    return scheme.lower() if mark and (rest.startswith("//") or scheme.lower() == "pipe") else ""


def shown_stream(url: str) -> str:
    """What messages call a stream: of a command its first word alone."""
    if url.startswith(PIPE):
        return f"{PIPE}{url.removeprefix(PIPE).split()[0]} ..."
    return shown_url(url)


def stream(url: str) -> Iterator[bytes]:
    """The blocks of one file, by a URL that `expand_streams` gave.

    Raises:
        StreamError: a program or package is absent, or it failed; the blocks before it are void.
    """
    from webdataset.gopen import gopen_schemes

    name = shown_stream(url)
    try:
        opened = gopen_schemes[_scheme(url)](url, mode="rb", bufsize=BLOCK_BYTES)
    except FileNotFoundError as error:
        raise StreamError(f"{name}: needs the program {error.filename}: install it") from None
    except ImportError as error:
        raise StreamError(f"{name}: needs the package {error.name}: install it") from None
    except Exception as error:  # whatever a reader's library raises, without its arguments
        raise StreamError(f"{name}: cannot be opened ({type(error).__name__})") from None
    try:
        while block := _read(opened):
            yield block
    finally:
        opened.stream.close()
        status = opened.proc.wait()
    if status != 0:
        failure = StreamError(
            f"{name}: {_program(url)} ended with status {status}{_advice(status)}"
        )
        failure.passing = status in BROKEN and not url.startswith(PIPE)
        raise failure


def copy_stream(url: str, target: Path, waits: Iterator[float]) -> None:
    """One file, by a URL that `expand_streams` gave, to the local disk.

    Where the connection broke it is read again from its start; a command runs once, since nobody
    knows what else it does.

    Args:
        url: of the file.
        target: is written, and replaced.
        waits: before each further try.

    Raises:
        StreamError: a program or package is absent, or it failed.
    """
    while True:
        try:
            with _explained(target), target.open("wb") as file:
                for block in stream(url):
                    file.write(block)
            return
        except StreamError as error:
            wait_s = next(waits, None) if error.passing else None
            if wait_s is None:
                raise
        time.sleep(wait_s)


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Errors of the disk say which file they are about."""
    try:
        yield
    except StreamError:
        raise
    except OSError as error:
        raise StreamError(
            f"{target}: {error.strerror or error}; free some space there, or check who may write"
        ) from error


def _read(opened: Any) -> bytes:
    """The next block, from the pipe itself: the library's errors show a token, where one is."""
    return bytes(opened.stream.read(BLOCK_BYTES))


def _program(url: str) -> str:
    return "the command" if url.startswith(PIPE) else "its reader"


def _advice(status: int) -> str:
    if status == 22:  # curl --fail
        return ", the server refuses it: check the address and the rights"
    return ", so that it may be cut short: check the network, and run it again"
