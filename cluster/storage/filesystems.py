"""From URLs to `pyarrow` filesystems; credentials come from the environment alone.

Clients for HTTP and S3 load where a URL needs them: most commands read this machine's files.
"""

import os
from urllib.parse import urlsplit

# S3-compatible servers other than AWS refuse the checksums that newer clients add by default.
# This must be set before an S3 filesystem is made, in workers too: they import this module.
os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")

import pyarrow.fs as pafs

from cluster.storage.urls import StorageError, absolute


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
        from cluster.storage.http import http_filesystem

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
    from cluster.storage.s3 import S3Server

    return S3Server(scheme=server.scheme, host=server.netloc, region=region or "us-east-1")
