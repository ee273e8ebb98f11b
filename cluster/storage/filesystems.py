"""From URLs to `pyarrow` filesystems; credentials come from the environment alone."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cluster.errors import ClusterError

# S3-compatible servers other than AWS refuse the checksums that newer clients add by default.
# This must be set before an S3 filesystem is made, in workers too: they import this module.
os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")

import pyarrow.fs as pafs

from cluster.storage.http import http_filesystem
from cluster.storage.s3 import S3Server

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


def filesystem(url: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of a URL and the path in it.

    `s3://bucket/path` reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and
    `AWS_ENDPOINT_URL` or the standard AWS files. Build it where it is used: a pickled filesystem
    would carry its secret along. `http(s)://` is read only.

    Raises:
        StorageError: no filesystem has this scheme, or the URL or the endpoint is malformed.
    """
    url = absolute(url)
    scheme, mark, path = url.partition("://")
    if not mark:
        return pafs.LocalFileSystem(), url
    if scheme == "s3":
        if not path.split("/")[0]:
            raise StorageError(f"{url}: no bucket; expected s3://bucket/path")
        if "?" in path:
            raise StorageError(
                f"{url.partition('?')[0]}?...: options in the URL; expected s3://bucket/path, and "
                "the server in AWS_ENDPOINT_URL"
            )
        return _s3(), path
    if scheme in ("http", "https"):
        return http_filesystem(), url
    try:
        source, inside = pafs.FileSystem.from_uri(url)
    except (ValueError, OSError) as error:
        raise StorageError(
            f"{url}: {' '.join(str(error).split())}; expected a local path, s3://, gs://, "
            "https:// ..."
        ) from error
    return source, inside


def _s3() -> pafs.S3FileSystem:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    # A small object goes in one request, and is there as a whole or not at all.
    if not endpoint:
        return pafs.S3FileSystem(region=region, allow_delayed_open=True)
    server = urlsplit(endpoint)
    if server.scheme not in ("http", "https") or "@" in server.netloc or server.path.strip("/"):
        raise StorageError("AWS_ENDPOINT_URL: expected http(s)://host:port and nothing more")
    return S3Server(scheme=server.scheme, host=server.netloc, region=region or "us-east-1")
