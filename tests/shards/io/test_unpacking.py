"""Packed files are unpacked whole, or refused."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from shards.errors import StoreError
from shards.io.unpacking import UnpackError, unpack
from shards.packing.tar_scan import MAGIC_BYTES, packed_by

DATA = bytes(range(256)) * 9000


def by_arrow(codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(DATA)
    return bytes(sink.getvalue().to_pybytes())


PACKED = {
    "gzip": gzip.compress(DATA),
    "bzip2": bz2.compress(DATA),
    "xz": lzma.compress(DATA),
    "zstd": by_arrow("zstd"),
    "lz4": by_arrow("lz4"),
}


@pytest.mark.parametrize("packer", PACKED)
def test_whole_joined_and_cut(tmp_path: Path, packer: str) -> None:
    packed = PACKED[packer]
    assert packed_by(packed[:MAGIC_BYTES]) == packer
    unpack(io.BytesIO(packed), packer, tmp_path / "one", "x")
    assert (tmp_path / "one").read_bytes() == DATA
    unpack(io.BytesIO(packed * 2), packer, tmp_path / "two", "x")
    assert (tmp_path / "two").read_bytes() == DATA * 2
    with pytest.raises(UnpackError, match=f"^x: damaged {packer} .*; copy it again$"):
        unpack(io.BytesIO(packed[:-5]), packer, tmp_path / "cut", "x")


def test_a_zip_is_no_tar(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("a.wav", "x")
    data = (tmp_path / "x.zip").read_bytes()
    with pytest.raises(UnpackError, match="an archive of zip; expected a tar"):
        unpack(io.BytesIO(data), packed_by(data[:MAGIC_BYTES]) or "", tmp_path / "out", "x.zip")


def test_a_full_disk_is_not_called_damage() -> None:
    with pytest.raises(StoreError, match="/dev/full: No space left"):
        unpack(io.BytesIO(PACKED["gzip"]), "gzip", Path("/dev/full"), "x")


def test_a_first_name_like_a_magic_number() -> None:
    assert packed_by(b"BZh-sound.wav"[:MAGIC_BYTES]) is None
