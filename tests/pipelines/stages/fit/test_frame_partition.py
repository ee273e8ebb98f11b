"""What each worker of a fit reads: whole clips, balanced, in bounded blocks; and how far it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import frame_cases
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.fit import frame_partition as fit_frames
from pipelines.stages.fit.frame_partition import FramePartition, Piece, posteriors_at, projected
from pmam.clustering.pca import fit_projection, moments
from shards.frames.frame_set import FrameSet
from shards.io.store import Store

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Member:
    """One of several workers, with nobody to talk to."""

    rank: int
    world_size: int
    device: torch.device = CPU


class Counts:
    """Stands for frame files: clips of so many frames, the numbers of which they hold."""

    def __init__(self, counts: list[int]) -> None:
        ends = np.cumsum(counts)
        self.rows = {
            f"c{n}": np.arange(end - count, end, dtype=np.float32)[:, None]
            for n, (count, end) in enumerate(zip(counts, ends, strict=True))
        }
        self.spec = frame_cases.spec(width=1)
        self.longest_read = self.released = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def count(self, key: str) -> int:
        return len(self.rows[key])

    def release(self) -> None:
        self.released += 1

    def read(self, key: str, first: int, stop: int) -> Any:
        self.longest_read = max(self.longest_read, stop - first)
        return self.rows[key][first:stop]


def parts(frames: Counts, world: int, at_once: int) -> list[FramePartition]:
    found = [FramePartition(frames, list(frames), Member(rank, world)) for rank in range(world)]  # type: ignore[arg-type]
    for part in found:
        part.at_once = at_once
    return found


@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=25).filter(any),
    world=st.integers(1, 6),
    at_once=st.integers(1, 50),
    seed=st.integers(0, 9),
)
def test_parts_share_all_frames(counts: list[int], world: int, at_once: int, seed: int) -> None:
    frames = Counts(counts)
    total = sum(counts)
    found = parts(frames, world, at_once)
    blocks = [block.ravel().tolist() for part in found for block in part.blocks()]
    seen = [frame for block in blocks for frame in block]
    assert seen == list(range(total))  # each once, in the order of the files
    assert all(len(block) < 2 * at_once for block in blocks)
    assert frames.longest_read <= at_once  # a long clip is never held whole
    assert [part.count for part in found] == [
        sum(len(frames.rows[key]) for key, *_ in part.clips) for part in found
    ]
    assert all(abs(part.count - total / world) <= max(counts) for part in found)
    places = np.sort(np.random.default_rng(seed).choice(total, total // 2 + 1, replace=False))
    rows = [part.rows(places, lambda more, note: None).ravel() for part in found]
    assert torch.cat(rows).tolist() == places.tolist()


def test_files_let_go_of_what_they_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an object store each would hold a batch: with the number of files, memory would grow."""
    frames = Counts([10] * 40)
    (part,) = parts(frames, 1, 20)
    assert len(list(part.blocks())) == 20
    assert frames.released == 1  # at the end of the pass
    monkeypatch.setattr(fit_frames, "RELEASE_BYTES", 4 * 50)
    assert len(list(part.blocks())) == 20
    assert frames.released == 1 + 6 + 1


@pytest.mark.parametrize("budget", [0, 10**9])
def test_kept_blocks_are_those_read(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_frames, "CPU_CACHE_BYTES", budget)
    frames = Counts([30, 70, 5])
    (part,) = parts(frames, 1, 16)
    reads = []
    read = part.read
    monkeypatch.setattr(part, "read", lambda block: reads.append(1) or read(block))
    projection = fit_projection(moments(part.blocks), 1)
    reads.clear()
    blocks = projected(part, projection)
    first, second = list(blocks()), list(blocks())
    assert len(first) == len(second) > 5
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(reads) == (len(first) if budget else 2 * len(first))
    assert torch.equal(torch.cat(first), projection.apply(torch.cat(list(part.blocks()))))


def frame_set(path: Path, rows: dict[str, Any], **changes: Any) -> FrameSet:
    frame_cases.write(path, rows, frame_cases.spec(**changes))
    return FrameSet(Store.local(path.parent), [path.name])


@pytest.mark.parametrize("hop_s", [0.04, 0.08, 0.16])
def test_posteriors_are_those_nearest_in_time(tmp_path: Path, hop_s: float) -> None:
    """On a grid that is finer, the same or coarser, and begins elsewhere."""
    count = round(2.0 / hop_s)
    grid_s = 0.02 + hop_s * np.arange(count)
    # The first posterior tells the time: 0 at the beginning, 1 after two seconds.
    rows = np.stack([grid_s / 2, 1 - grid_s / 2], axis=1).astype(np.float32)
    before = frame_set(
        tmp_path / "b.arrow", {"a": rows}, hop_s=hop_s, width=2, first_frame_s=0.02,
        kind="posteriors",
    )  # fmt: skip
    frames = frame_set(tmp_path / "f.arrow", {"a": np.zeros((50, 4))}, hop_s=0.08)
    held, found = posteriors_at(before, frames, Piece("a", 3, 50, 3))
    times_s = 0.08 * np.arange(3, 50)[held]
    apart_s = np.abs(found[:, 0] * 2 - times_s)
    assert apart_s[times_s <= grid_s[-1]].max() <= hop_s / 2 + 1e-6
    assert apart_s.max() <= 1.5 * hop_s + 1e-6  # what lies farther beyond has none
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert 0 < held.sum() < 47
    assert posteriors_at(before, frames, Piece("a", 45, 50, 45))[1].shape == (0, 2)
