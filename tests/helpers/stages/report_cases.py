"""Outputs of detectors on made-up clips, for reports, without files and without models."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.presets.settings import RunSettings
from pipelines.report.contents import ARMS, RunContents
from pipelines.report.numbers import Scored
from pipelines.stages.evaluate.truth import Truth
from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.families import Evaluated
from shards.index import IndexRow

HOP_S = 0.1
LENGTH_S = 4.0
Times = tuple[float, float, str]


def run_of(name: str) -> RunContents:
    """A run of which nothing is there but its name."""
    return RunContents(
        url=f"/runs/{name}",
        name=name,
        preset=name,
        settings=RunSettings(),
        done={},
        begun=(),
        missing=("pack",),
        folders={},
        dataset=None,
    )


def row_of(source_id: str) -> IndexRow:
    """A clip of the index without audio."""
    return IndexRow(
        **{"key": source_id, "source_id": source_id, "shard": "s", "offset": 0, "size": 1},
        **{"codec": "wav", "sample_rate_hz": 8000, "num_samples": 32000, "channels": 1},
        **{"checksum": "c", "crc32": 0, "subset": "test", "recording": None, "fold": None},
        weak=None,
        events=(),
        meta={},
    )


def output(
    truth: Mapping[str, Sequence[Times]],
    found: Mapping[str, Sequence[Times]],
    classes: Sequence[str],
    *,
    arm: int = 0,
    run: RunContents | None = None,
    score: float = 0.9,
) -> Scored:
    """Scores of `score` where something is found, and 0.2 elsewhere; the threshold is 0.5."""
    scores = {}
    for clip in truth:
        scores[clip] = np.full((round(LENGTH_S / HOP_S), len(classes)), 0.2)
        for onset_s, offset_s, label in found.get(clip, ()):
            first, stop = round(onset_s / HOP_S), round(offset_s / HOP_S)
            scores[clip][first:stop, classes.index(label)] = score
    clips = EvaluationSet(
        scores=scores,
        hop_s=HOP_S,
        ground_truth={
            clip: [Event(onset_s=a, offset_s=b, label=c) for a, b, c in events]
            for clip, events in truth.items()
        },
        durations_s=dict.fromkeys(truth, LENGTH_S),
        classes=classes,
    )
    return Scored(
        arm=ARMS[arm],
        run=run or run_of("run"),
        rows=[row_of(clip) for clip in truth],
        truth=Truth(
            subset="test",
            events=dict(clips.ground_truth),
            durations_s=dict(clips.durations_s),
            recordings={clip: clip for clip in truth},
            classes=tuple(classes),
        ),
        evaluated=Evaluated(scores=clips),
    )
