"""PSDS1 and PSDS2 against sed_scores_eval, on one core, one run each, equal values.

    OMP_NUM_THREADS=1 python benchmarks/evaluation/psds_speed.py          # needs the group `peers`
    OMP_NUM_THREADS=1 python benchmarks/evaluation/psds_speed.py --large  # AudioSet-Strong, ours

1168 clips of 10 s, 10 classes, 1000 frames: random walks that rise inside events, in float32; the
same after a running median of 0.51 s; and the same with only 100 different scores. Processor time
counts; the scores lie ready in memory on both sides. `--large` reads 17 000 clips, 447 classes and
250 frames of float16 from a file (--clips for fewer), and tells its largest memory.

Result of 2026-11-29, one of two cores, with much other work on both (load 20 to 30):

                        PSDS1    PSDS2    ours      sed_scores_eval   ratio
    random walk         0.0297   0.0529   1.68 s    75.26 s           44.7
    median of 0.51 s    0.1516   0.1957   0.99 s    21.39 s           21.6
    100 levels          0.0000   0.0000   0.50 s    10.38 s           20.7

`--large --clips 1000`: 10 s for both, 0.75 GB at most. All 17 000 were not run to the end yet.
"""

import argparse
import importlib
import resource
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2, psds

LENGTH_S = 10.0
Scores = npt.NDArray[np.floating]


def clip_of(
    rng: np.random.Generator, frames: int, classes: list[str], most_events: int
) -> tuple[Scores, list[Event]]:
    """One clip: a random walk of each class, raised inside its events."""
    edges_s = np.linspace(0, LENGTH_S, frames + 1)
    middle_s = (edges_s[1:] + edges_s[:-1]) / 2
    noise = rng.standard_normal((frames, len(classes)), dtype=np.float32)
    logits = np.cumsum(noise, axis=0) * (0.15 * (1000 / frames) ** 0.5) - 3
    events = []
    for label in rng.choice(len(classes), size=rng.integers(0, most_events + 1), replace=False):
        onset_s = round(float(rng.uniform(0, 9)), 3)
        offset_s = round(min(LENGTH_S, onset_s + float(rng.uniform(0.25, 4))), 3)
        events.append(Event(onset_s=onset_s, offset_s=offset_s, label=classes[label]))
        logits[(middle_s > onset_s) & (middle_s < offset_s), label] += 5
    return (1 / (1 + np.exp(-logits))).astype(np.float32), events


def evaluation_set(
    scores: Mapping[str, Scores], truth: Mapping[str, list[Event]], classes: list[str], frames: int
) -> EvaluationSet:
    """The clips of this benchmark."""
    return EvaluationSet(
        scores=scores,
        hop_s=LENGTH_S / frames,
        ground_truth=truth,
        durations_s=dict.fromkeys(truth, LENGTH_S),
        classes=classes,
    )


def theirs(clips: EvaluationSet) -> tuple[list[float], float]:
    """Values and seconds of sed_scores_eval."""
    warnings.simplefilter("ignore")
    peer = importlib.import_module("sed_scores_eval")
    frames = {
        clip: peer.base_modules.scores.create_score_dataframe(
            clips.scores[clip].astype(np.float64), clips.edges_s(clip), list(clips.classes)
        )
        for clip in clips.clips
    }
    truth = {
        clip: [(e.onset_s, e.offset_s, e.label) for e in events]
        for clip, events in clips.ground_truth.items()
    }
    values = []
    start = time.process_time()
    for one in (PSDS1, PSDS2):
        found: Any = peer.intersection_based.psds(
            frames,
            truth,
            dict(clips.durations_s),
            dtc_threshold=one.dtc,
            gtc_threshold=one.gtc,
            cttc_threshold=one.cttc,
            alpha_ct=one.alpha_ct,
            alpha_st=one.alpha_st,
            max_efpr=one.e_max,
        )
        values.append(float(found[0]))
    return values, time.process_time() - start


def ours(clips: EvaluationSet) -> tuple[list[float], float]:
    """Values and seconds of ours."""
    start = time.process_time()
    values = [psds(clips, one).value for one in (PSDS1, PSDS2)]
    return values, time.process_time() - start


def compare(count: int) -> None:
    """The three sets, ours and theirs."""
    rng = np.random.default_rng(0)
    classes = [f"class{n}" for n in range(10)]
    made = {f"clip{n:04d}": clip_of(rng, 1000, classes, 4) for n in range(count)}
    walk = {name: scores for name, (scores, _) in made.items()}
    truth = {name: events for name, (_, events) in made.items()}
    variants = {
        "random walk": walk,
        "median of 0.51 s": {k: ndimage.median_filter(v, (51, 1)) for k, v in walk.items()},
        "100 levels": {k: np.round(v, 2) for k, v in walk.items()},
    }
    for name, scores in variants.items():
        clips = evaluation_set(scores, truth, classes, 1000)
        (values, seconds), (expected, their_seconds) = ours(clips), theirs(clips)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
        print(
            f"{name:18} PSDS1 {values[0]:.4f}  PSDS2 {values[1]:.4f}  ours {seconds:6.2f} s  "
            f"sed_scores_eval {their_seconds:6.2f} s  ratio {their_seconds / seconds:.1f}"
        )


class Stored(Mapping[str, Scores]):
    """Scores of clips in one file of float16, read when they are asked for."""

    def __init__(self, path: Path, names: list[str], frames: int, classes: int) -> None:
        self.path, self.places = path, {name: n for n, name in enumerate(names)}
        self.shape = (frames, classes)

    def __getitem__(self, clip: str) -> Scores:
        count = self.shape[0] * self.shape[1]
        offset = 2 * count * self.places[clip]
        return np.fromfile(self.path, np.float16, count, offset=offset).reshape(self.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def large(count: int, frames: int = 250, width: int = 447) -> None:
    """AudioSet-Strong's size: time and the largest memory of this process."""
    rng = np.random.default_rng(0)
    classes = [f"class{n}" for n in range(width)]
    truth = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.f16"
        with path.open("wb") as file:
            for n in range(count):
                scores, truth[f"clip{n:05d}"] = clip_of(rng, frames, classes, 9)
                file.write(scores.astype(np.float16).tobytes())
        start = time.process_time()
        clips = evaluation_set(Stored(path, list(truth), frames, width), truth, classes, frames)
        checked = time.process_time() - start
        values, seconds = ours(clips)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{count} clips x {width} classes x {frames} frames: PSDS1 {values[0]:.4f}, PSDS2 "
        f"{values[1]:.4f}; {checked:.0f} s to check the scores, {seconds:.0f} s for both; "
        f"{memory:.2f} GB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--large", action="store_true", help="AudioSet-Strong's size, ours alone")
    parser.add_argument("--clips", type=int, help="how many clips")
    chosen = parser.parse_args()
    if chosen.large:
        large(chosen.clips or 17_000)
    else:
        compare(chosen.clips or 1168)
