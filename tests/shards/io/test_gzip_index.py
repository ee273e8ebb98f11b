"""Reading anywhere in a gzip file gives what unpacking all of it gives."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.io import gzip_index as gzip_ranges
from shards.io.gzip_index import GzipError, GzipRanges


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_ranges, "SPAN_BYTES", 5000)
    monkeypatch.setattr(gzip_ranges, "READ_BYTES", 1000)


def noise(size: int) -> bytes:
    """Bytes that gzip packs to about half."""
    return np.random.default_rng(0).integers(0, 16, size, dtype=np.uint8).tobytes()


DATA = noise(60_000)
JOINED = gzip.compress(DATA[:20_000]) + gzip.compress(DATA[20_000:]) + bytes(512)


def opened(packed: bytes = JOINED) -> GzipRanges:
    return GzipRanges(io.BytesIO(packed), "x.tar.gz")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 61_000), st.integers(0, 9_000)), max_size=8))
def test_reads_in_any_order(ranges: list[tuple[int, int]]) -> None:
    file = opened()
    for offset, size in ranges:
        assert file.seek(offset) == offset
        assert file.read(size) == DATA[offset : offset + size]
        assert file.tell() == min(offset + size, max(offset, len(DATA)))


def test_reading_all_and_relative_seeks() -> None:
    file = opened()
    assert file.read() == DATA
    assert file.read(10) == b""
    file.seek(100)
    file.seek(50, io.SEEK_CUR)
    assert file.read(3) == DATA[150:153]
    with pytest.raises(io.UnsupportedOperation):
        file.seek(0, io.SEEK_END)


def test_a_read_unpacks_a_span_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened()
    file.read()
    taken = []
    plain = file._unpack
    monkeypatch.setattr(file, "_unpack", lambda: (taken.append(1), plain())[1])
    file.seek(33_333)
    assert file.read(100) == DATA[33_333:33_433]
    assert len(taken) <= 5  # reads of 1000 packed bytes: a span, and not the file


def test_damage_is_an_error() -> None:
    packed = gzip.compress(DATA)
    with pytest.raises(GzipError, match=r"^x\.tar\.gz: truncated after \d+ unpacked bytes"):
        opened(packed[:-20]).read()
    with pytest.raises(GzipError, match=r"^x\.tar\.gz: damaged after \d+ unpacked bytes"):
        opened(packed[:9000] + bytes(100) + packed[9100:]).read()
    with pytest.raises(GzipError, match="damaged after 0"):
        opened(b"no gzip at all").read()


def test_an_empty_file(tmp_path: Path) -> None:
    assert opened(gzip.compress(b"")).read(10) == b""
