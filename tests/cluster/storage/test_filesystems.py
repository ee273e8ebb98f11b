"""URLs to filesystems, deletes on a real S3 server, and secrets that stay where they are."""

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from s3_server import S3Server, s3_server

from cluster.storage.filesystems import filesystem
from cluster.storage.s3 import authorization
from cluster.storage.urls import StorageError, absolute

ROOT = Path(__file__).resolve().parents[3]
SECRET = "wJalrXUtnFEMI/K7MDENG"  # noqa: S105


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert absolute("runs/a/") == f"{tmp_path}/runs/a"
    assert absolute("~/data") == "/home/ada/data"
    assert absolute("file:///data/a%20b/") == "/data/a b"
    assert absolute("file://localhost/data") == "/data"
    assert absolute("s3://bucket/runs/a/") == "s3://bucket/runs/a"
    assert absolute("gs://bucket") == "gs://bucket"


def test_local_paths_and_file_urls_are_the_disk(tmp_path: Path) -> None:
    for url in (str(tmp_path), tmp_path.as_uri()):
        found, path = filesystem(url)
        assert isinstance(found, pafs.LocalFileSystem)
        assert path == str(tmp_path)


def test_an_s3_url_is_a_bucket_and_a_path(server: S3Server) -> None:
    found, path = filesystem("s3://bucket/a/take#2%20/b/")
    assert path == "bucket/a/take#2%20/b"
    assert found.get_file_info("bucket").type == pafs.FileType.Directory


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://", "no bucket; expected s3://bucket/path"),
        ("s3:///a/b", "no bucket; expected s3://bucket/path"),
        ("ftp://host/a", "expected a local path, s3://, gs://"),
        ("pipe:touch /tmp/here", "is refused here"),
        ("PIPE:touch /tmp/here", "is refused here"),
        ("file://host/a", "a file on another machine; expected file:///path"),
        (f"s3://bucket/a?secret_key={SECRET}", "options in the URL"),
        (f"s3://AKIA:{SECRET}@bucket/a", "leave them out"),
        (f"s3://AKIA:{SECRET.replace('/', '')}@bucket/a", "leave them out"),
        (f"ftp://ada:{SECRET.replace('/', '')}@host/a", "leave them out"),
    ],
)
def test_urls_that_no_filesystem_answers_to(url: str, message: str) -> None:
    with pytest.raises(StorageError) as caught:
        filesystem(url)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET[:5] not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", f"http://a:{SECRET}@host", "http://h/b"])
def test_a_malformed_endpoint(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match="expected http") as caught:
        filesystem("s3://bucket/a")
    assert SECRET not in str(caught.value)


def test_a_delete_leaves_no_object_for_the_folder(server: S3Server) -> None:
    found, path = filesystem(server.url("d"))
    for name in ("a", "b"):
        with found.open_output_stream(f"{path}/{name}") as stream:
            stream.write(b"x")
    found.delete_file(f"{path}/a")
    assert [info.path for info in found.get_file_info(pafs.FileSelector(path))] == [f"{path}/b"]
    found.delete_file(f"{path}/b")
    found.delete_file(f"{path}/b")  # not there any more
    assert not server.file("d").exists()


def test_wrong_keys_are_said_and_not_shown(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    found, path = filesystem(server.url("x"))
    for work in (
        lambda: found.delete_file(path),
        lambda: found.open_input_file(path),
        lambda: found.get_file_info(path),
    ):
        with pytest.raises(OSError, match="ACCESS_DENIED") as caught:
            work()
        assert SECRET not in str(caught.value)


def test_no_server_there(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    found, path = filesystem(server.url("x"))
    with pytest.raises(OSError, match="refused"):
        found.delete_file(path)


def test_the_filesystem_is_not_pickled(server: S3Server) -> None:
    found, _ = filesystem(server.url("x"))
    with pytest.raises(TypeError, match="send its URL"):
        pickle.dumps(found)
    assert server.secret not in repr(vars(found))


def test_the_signature_of_the_documented_example() -> None:
    """Example "GET Object" of docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth."""
    signed = authorization(
        "GET",
        "/test.txt",
        {
            "host": "examplebucket.s3.amazonaws.com",
            "range": "bytes=0-9",
            "x-amz-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-amz-date": "20130524T000000Z",
        },
        key_id="AKIAIOSFODNN7EXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",  # noqa: S106
        region="us-east-1",
    )
    assert signed.endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_process_that_loaded_pyarrow_first_can_write(server: S3Server) -> None:
    script = (
        "import pyarrow.fs as pafs; pafs.S3FileSystem()\n"
        "from cluster.storage.filesystems import filesystem\n"
        f"found, path = filesystem({server.url('late')!r})\n"
        "with found.open_output_stream(path) as stream: stream.write(b'late')\n"
    )
    clean = {k: v for k, v in os.environ.items() if k != "AWS_REQUEST_CHECKSUM_CALCULATION"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=clean, check=True, timeout=60)
    assert server.file("late").read_bytes() == b"late"
