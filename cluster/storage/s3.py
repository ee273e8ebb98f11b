"""An S3-compatible server other than AWS: pyarrow's filesystem, but for deletes.

After a delete, pyarrow puts an empty object that stands for the folder (`folder/`). AWS keeps
it; servers that map objects to files may refuse it, or hide the folder's other files behind it
(`rclone serve s3` does both). So a delete is one request here, signed as in AWS Signature
Version 4 (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
"""

import datetime
import hashlib
import hmac
import http.client
import os
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import quote

import pyarrow.fs as pafs

TIMEOUT_S = 30
NO_BODY = hashlib.sha256(b"").hexdigest()


class S3Server(pafs.S3FileSystem):  # type: ignore[misc]  # pyarrow has no types
    """The filesystem of the server; credentials come from the environment.

    Args:
        scheme: `http` or `https`.
        host: `host:port`.
        region: that requests are signed for.
    """

    def __init__(self, *, scheme: str, host: str, region: str) -> None:
        super().__init__(
            endpoint_override=host, scheme=scheme, region=region, allow_delayed_open=True
        )
        self._scheme, self._host, self._region = scheme, host, region

    def __reduce__(self) -> NoReturn:
        raise TypeError("an S3 filesystem may hold credentials: send its URL instead")

    def delete_file(self, path: str) -> None:
        """Delete an object; one that is not there is fine.

        Raises:
            OSError: the server refused, or could not be reached.
        """
        key_id = os.environ.get("AWS_ACCESS_KEY_ID")
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
        if not (key_id and secret):  # they are in a file that only pyarrow's client reads
            super().delete_file(path)
            return
        target = "/" + quote(path, safe="/~")
        headers = {
            "host": self._host,
            "x-amz-content-sha256": NO_BODY,
            "x-amz-date": datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ"),
        }
        if token := os.environ.get("AWS_SESSION_TOKEN"):
            headers["x-amz-security-token"] = token
        headers["authorization"] = authorization(
            "DELETE", target, headers, key_id=key_id, secret=secret, region=self._region
        )
        https = self._scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        connection = kind(self._host, timeout=TIMEOUT_S)
        try:
            connection.request("DELETE", target, headers=headers)
            status = connection.getresponse().status
        except http.client.HTTPException as error:
            raise OSError(f"no answer to a delete ({type(error).__name__})") from error
        finally:
            connection.close()
        if status in (401, 403):
            raise OSError(f"AWS Error ACCESS_DENIED (HTTP status {status}) during DeleteObject")
        if status not in (200, 204, 404):
            raise OSError(f"HTTP status {status} during DeleteObject")


def authorization(
    method: str, target: str, headers: Mapping[str, str], *, key_id: str, secret: str, region: str
) -> str:
    """The `Authorization` header of a request without query and body (Signature Version 4).

    Args:
        method: of the request.
        target: the path, percent-encoded.
        headers: all that are sent, names in lower case; with `x-amz-date` and
            `x-amz-content-sha256`.
        key_id: the access key's name.
        secret: the access key.
        region: of the server.
    """
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join([method, target, "", *lines, "", names, headers["x-amz-content-sha256"]])
    moment = headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}").hex()
    return (
        f"AWS4-HMAC-SHA256 Credential={key_id}/{scope},SignedHeaders={names},Signature={signature}"
    )


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), hashlib.sha256).digest()
