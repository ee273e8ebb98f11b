"""Counting holds the scores of a few classes at a time, however many there are."""

import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic import intersections
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2, psds_counts_of, values_of
from pmam.metrics.ranking import areas

CLIPS, FRAMES, LENGTH_S = 150, 100, 10.0


@dataclass
class Drawn(Mapping[str, np.ndarray]):
    """Scores that are made when they are read, as those of a file are."""

    width: int

    def __getitem__(self, clip: str) -> np.ndarray:
        rng = np.random.default_rng(int(clip))
        return rng.random((FRAMES, self.width), dtype=np.float32).astype(np.float16)

    def __iter__(self) -> Iterator[str]:
        return map(str, range(CLIPS))

    def __len__(self) -> int:
        return CLIPS


def peak_bytes(width: int) -> tuple[int, int]:
    """The most that PSDS1 and PSDS2, and frame AP, hold at once, of so many classes."""
    scores = Drawn(width)
    clips = EvaluationSet(
        scores=scores,
        hop_s=LENGTH_S / FRAMES,
        ground_truth={
            clip: [Event(onset_s=1.0, offset_s=3.0, label=f"class{int(clip) % 8}")]
            if int(clip) < 40
            else []
            for clip in scores
        },
        durations_s=dict.fromkeys(scores, LENGTH_S),
        classes=[f"class{n}" for n in range(width)],
    )
    weights = np.ones((1, CLIPS))
    found = []
    for work in (
        lambda: [values_of([c], weights) for c in psds_counts_of(clips, [PSDS1, PSDS2], weights)],
        lambda: areas.frame_numbers(clips, weights),
    ):
        tracemalloc.start()
        work()
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return found[0], found[1]


def test_memory_does_not_grow_with_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intersections, "MOST_BYTES", 2**18)
    monkeypatch.setattr(areas, "MOST_POOLED", 0)
    few, many = peak_bytes(16), peak_bytes(64)
    held = 2 * CLIPS * FRAMES * (64 - 16)  # what all scores would take more
    for less, more in zip(few, many, strict=True):
        assert more - less < held / 2
