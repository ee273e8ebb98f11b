"""Excerpts of doubtful clips lie where the doubt is, also in long recordings."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from pipelines.stages.inspect import sounds
from pipelines.stages.inspect.sounds import Heard, heard
from shards.audio.decoding import AudioError
from shards.clip import Event
from shards.dataset import Dataset
from shards.index import IndexRow
from shards.quality.finding import Finding

RATE_HZ, LENGTH_S = 8000, 60.0


def recording() -> np.ndarray:
    """A minute of faint noise: clipped for 5 ms at 41 s, silent from 20 to 29 s, loud at 52 s."""
    samples = np.random.default_rng(0).normal(0, 0.01, int(RATE_HZ * LENGTH_S)).astype(np.float32)
    samples[20 * RATE_HZ : 29 * RATE_HZ] = 0
    samples[41 * RATE_HZ : 41 * RATE_HZ + 40] = -1
    samples[52 * RATE_HZ : 53 * RATE_HZ] *= 60
    return samples.clip(-1, 0.9)


class Rows(list[IndexRow]):
    def taken(self, places: np.ndarray) -> "Rows":
        return Rows(self[place] for place in places)


class One:
    """A dataset of one recording."""

    def __init__(self, samples: np.ndarray, **of_row: Any) -> None:
        row: dict[str, Any] = {
            "key": "k",
            "source_id": "a.wav",
            "shard": "s",
            "offset": 0,
            "size": 1,
            "codec": "wav",
            "sample_rate_hz": RATE_HZ,
            "num_samples": len(samples),
            "channels": 1,
            "checksum": "c",
            "crc32": 0,
            "subset": "strong",
            "recording": None,
            "fold": None,
            "weak": None,
            "events": None,
            "meta": {},
        }
        self.samples, self.rows = samples, Rows([IndexRow(**{**row, **of_row})])
        self.columns = self

    def of_sources(self, wanted: set[str]) -> np.ndarray:
        return np.array([row.source_id in wanted for row in self.rows])

    def audio_blocks(self, row: IndexRow, rate_hz: int, block_s: float) -> Iterator[np.ndarray]:
        samples = np.repeat(self.samples, rate_hz // RATE_HZ)
        for begin in range(0, len(samples), 1234):
            yield samples[begin : begin + 1234]


def shown(kind: str, example: str, dataset: One) -> Heard:
    finding = Finding(severity="note", kind=kind, what="", advice="", count=1, examples=(example,))
    ((found,),) = heard(cast(Dataset, dataset), [finding], 6, 10**9)
    return found


@pytest.mark.parametrize(
    ("kind", "told", "start_s", "doubt_s"),
    [
        ("clipped", ": 40 samples in a row", 39.0, (41.0, 41.005)),
        ("mostly_silent", ": 60% silent", 18.0, (20.0, 28.0)),  # more of it than is heard
        ("quiet", ": -70.0 dBFS", 50.0, None),  # where it is loudest
        ("rate_low", "", 50.0, None),
        ("event_short", ": dog 33 to 33.01 s", 31.0, (33.0, 33.01)),
        ("event_outside", ": dog: 1 to 2 s 59 to 64.5 s, the clip ends at 60 s", 50.0, (59, 60)),
        ("event_outside", ": dog 70 to 80 s, the clip ends at 60 s", 50.0, None),
        ("event_outside", ": dog 9 to 8 s, the clip ends at 60 s", 6.0, (8.0, 9.0)),
        ("event_outside", ": dog nan to 8 s, the clip ends at 60 s", 0.0, None),
        ("event_overlap", ": 1 of 3", 28.0, (30.0, 36.0)),
        ("silent", ": -120.0 dBFS", 0.0, None),
        ("duplicate", ", b.wav (weak)", 0.0, None),
    ],
)
def test_excerpts_lie_where_the_doubt_is(
    kind: str, told: str, start_s: float, doubt_s: tuple[float, float] | None
) -> None:
    events = tuple(
        Event(onset_s, offset_s, label)
        for onset_s, offset_s, label in [(5, 50, "cat"), (30, 35, "dog"), (34, 36, "dog")]
    )
    found = shown(kind, f"a.wav{told}", One(recording(), events=events))
    assert found.excerpt is not None and found.failed == ""
    assert found.excerpt.start_s == pytest.approx(start_s, abs=1.01 if kind == "quiet" else 1.0)
    assert found.excerpt.stop_s == pytest.approx(found.excerpt.start_s + 10)
    marks = [] if doubt_s is None else [tuple(map(found.excerpt.place, doubt_s))]
    assert [m for mark in found.marks for m in mark] == pytest.approx(
        [m for mark in marks for m in mark], abs=0.6
    )


def test_a_short_clip_is_heard_whole() -> None:
    found = shown(
        "clipped", "a.wav: 40 samples in a row", One(recording()[38 * RATE_HZ :][: 4 * RATE_HZ])
    )
    assert found.excerpt is not None
    assert (found.excerpt.start_s, found.excerpt.stop_s) == (0.0, 4.0)
    assert found.marks[0] == pytest.approx((75.0, 75.125), abs=0.1)


def test_what_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = One(recording())

    def damaged(*_: Any) -> Iterator[np.ndarray]:
        yield dataset.samples[:100]
        raise AudioError("a.wav: got NaN or infinite samples at 0.012 s")

    monkeypatch.setattr(dataset, "audio_blocks", damaged)
    found = shown("clipped", "a.wav: 40 samples in a row", dataset)
    assert found.excerpt is None and "NaN or infinite samples at 0.012 s" in found.failed
    assert sounds.WHOLE == (0.0, 0.0)
