"""Ranges: neighbours are joined within limits, and reads go on where they broke."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shards.io.range_reader
import shards.io.store
from shards.errors import StoreError
from shards.io.range_reader import HANDLES, RangeReader, Wanted, coalesce
from shards.io.store import Store

RANGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 500), st.integers(0, 90)), max_size=30
)


@settings(deadline=None)
@given(RANGES, st.integers(0, 60), st.integers(1, 300))
def test_every_range_is_in_one_request_within_the_limits(
    ranges: list[tuple[str, int, int]], gap: int, most: int
) -> None:
    wanted = [Wanted(slot, *place) for slot, place in enumerate(ranges)]
    requests = coalesce(wanted, gap, most)
    assert sorted(p.slot for r in requests for p in r.parts) == list(range(len(wanted)))
    for request in requests:
        assert len(request.parts) == 1 or request.size <= most
        for part in request.parts:
            assert part.shard == request.shard
            assert request.offset <= part.offset <= part.stop <= request.offset + request.size
        covered = sum(part.size for part in request.parts)
        assert request.size <= covered + gap * (len(request.parts) - 1)
    firsts = [min(part.slot for part in request.parts) for request in requests]
    assert firsts == sorted(firsts)


def test_neighbours_are_one_request() -> None:
    wanted = [Wanted(n, "s", offset, 10) for n, offset in enumerate((40, 0, 20))]
    assert [(r.offset, r.size) for r in coalesce(wanted, 10, 100)] == [(0, 50)]
    assert [(r.offset, r.size) for r in coalesce(wanted, 10, 30)] == [(40, 10), (0, 30)]
    assert len(coalesce(wanted, 9, 100)) == 3


class Remote:
    """A filesystem that is not local, and cuts or breaks some reads."""

    def __init__(self, data: bytes, faults: list[str]) -> None:
        self.data, self.faults, self.reads = data, faults, []

    def open_input_file(self, path: str) -> "Remote":
        return self

    def size(self) -> int:
        return len(self.data)

    def read_at(self, size: int, offset: int) -> bytes:
        self.reads.append((offset, size))
        fault = self.faults.pop(0) if self.faults else "none"
        if fault == "broken":
            raise OSError("connection reset")
        return self.data[offset : offset + (size // 2 if fault == "short" else size)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards.io.range_reader, "PART_BYTES", 100)
    monkeypatch.setattr(shards.io.store, "WAITS_S", (0.0, 0.0, 0.0))


def test_a_broken_read_starts_again_at_the_first_missing_byte() -> None:
    data = bytes(range(250)) * 2
    remote = Remote(data, ["none", "broken", "short", "none"])
    assert RangeReader(Store(remote, "/r")).read("x", 10, 250) == data[10:260]
    assert remote.reads == [(10, 100), (110, 100), (110, 100), (160, 100)]


def test_it_gives_up_after_as_many_tries_as_the_store() -> None:
    remote = Remote(bytes(50), ["broken"] * 9)
    with pytest.raises(StoreError, match="connection reset, 4 times; check the network"):
        RangeReader(Store(remote, "/r")).read("x", 0, 50)
    assert len(remote.reads) == 4


@pytest.mark.parametrize("local", [True, False])
def test_a_truncated_file_is_said_at_once(tmp_path: Path, local: bool) -> None:
    (tmp_path / "x").write_bytes(bytes(130))
    remote = Remote(bytes(130), [])
    store = Store.local(tmp_path) if local else Store(remote, "/r")
    with pytest.raises(StoreError, match=r"x: got .* bytes at offset .*truncated"):
        RangeReader(store).read("x", 0, 200)
    assert len(remote.reads) == (0 if local else 2)
    assert RangeReader(store).read("x", 130, 0) == b""


def test_a_replaced_file_is_opened_anew_when_told(tmp_path: Path) -> None:
    store = Store.local(tmp_path)
    store.write("x", b"old")
    reader = RangeReader(store)
    assert reader.read("x", 0, 3) == b"old"
    store.write("x", b"new")
    reader.forget("x")
    assert reader.read("x", 0, 3) == b"new"


def test_open_files_are_few(tmp_path: Path) -> None:
    store = Store.local(tmp_path)
    reader = RangeReader(store)
    for number in range(HANDLES + 20):
        store.write(str(number), b"x")
        assert reader.read(str(number), 0, 1) == b"x"
    held = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
    assert sum(str(tmp_path) in str(path.resolve()) for path in held) == HANDLES
