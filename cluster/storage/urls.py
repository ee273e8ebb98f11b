"""URLs and paths as they are given: made absolute, or refused. Loads no filesystem."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster.errors import ClusterError

PIPE = "pipe:"  # WebDataset's URLs of commands


class StorageError(ClusterError, ValueError):
    """A URL that no filesystem answers to; the message is one line and holds no credential."""


def absolute(url: str) -> str:
    """The URL itself, or the absolute path: workers have other working directories.

    Raises:
        StorageError: a `file://` URL of another machine, a URL with a password, or `pipe:`.
    """
    if url.lower().startswith(PIPE):
        raise StorageError(
            f"{PIPE} runs a command of the shell, and is refused here: only `pmam pack --source "
            "webdataset` takes it, typed on its command line with --allow-pipe"
        )
    if "\0" in url:
        raise StorageError(f"{url!r}: no path, for the zero byte in it; correct it")
    if "://" not in url:
        try:
            return str(Path(url).expanduser().absolute())
        except RuntimeError as error:  # `~name` of a user that is not there
            raise StorageError(f"{url}: {error}; give the whole path") from error
    parts = urlsplit(url)
    bucket = parts.scheme in ("s3", "gs", "gcs")
    # A secret may hold a slash: then what comes before looks like host and port.
    if parts.password is not None or (bucket and re.search("[@:]", parts.netloc)):
        raise StorageError(
            f"{parts.scheme}:// URL with credentials in it: leave them out, and give them in the "
            "environment (for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        )
    if parts.scheme != "file":
        start = len(parts.scheme) + 3
        return url[:start] + url[start:].rstrip("/")
    if parts.netloc not in ("", "localhost"):
        raise StorageError(f"{url}: a file on another machine; expected file:///path, or a path")
    return str(Path(unquote(parts.path)).absolute())
