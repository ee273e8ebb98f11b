"""Detectors compared: median widths chosen on validation clips, numbers and intervals on test."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from low_label.data import Clips, Data
from low_label.sources import source_draws
from torch import Tensor

from pmam.events.decoding import decode_at
from pmam.events.event import FloatArray
from pmam.events.median_filter import median_filter
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.count_table import CountTable
from pmam.metrics.events.event_f1 import event_counts
from pmam.metrics.intervals import Interval, bootstrap_interval, cluster_draws
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2, psds, psds_counts
from pmam.metrics.ranking.average_precision import frame_table
from pmam.metrics.registry import METRICS
from pmam.models.detector import DetectorModel

MEDIAN_WIDTHS_S = (0.08, 0.24, 0.4, 0.72, 1.04, 1.68)
NUMBERS = ("frame_ap", "psds1", "psds2", "event_f1")
DRAWS = {"frame_ap": 300, "psds1": 100, "psds2": 100}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trained detector on the test clips."""

    raw: EvaluationSet  # as the detector scores them
    smooth: EvaluationSet  # after the median filter
    numbers: Mapping[str, float]
    validation_ap: float
    widths_s: Sequence[float]


def evaluate(detector: DetectorModel, data: Data) -> Run:
    """A detector on the test clips.

    Its median widths are chosen on validation clips; the test clips are scored once.
    """
    validation = evaluation_set(detector, data.clips["validation"], data)
    widths_s = choose_widths(validation, data)
    raw = evaluation_set(detector, data.clips["test"], data)
    smooth = smoothed(raw, widths_s, data)
    return Run(
        raw=raw,
        smooth=smooth,
        numbers={
            name: METRICS[name](raw if name == "frame_ap" else smooth).value for name in NUMBERS
        },
        validation_ap=METRICS["frame_ap"](validation).value,
        widths_s=widths_s,
    )


@torch.inference_mode()
def frame_scores(detector: DetectorModel, inputs: Tensor) -> np.ndarray:
    """Probabilities `(N, T, classes)`."""
    detector.eval()
    return torch.cat([detector(part).frames for part in inputs.split(64)]).numpy()


def evaluation_set(detector: DetectorModel, clips: Clips, data: Data) -> EvaluationSet:
    """Frame scores and truth of clips."""
    return EvaluationSet(
        scores=dict(zip(clips.keys, frame_scores(detector, clips.inputs), strict=True)),
        hop_s=data.hop_s,
        ground_truth=dict(zip(clips.keys, clips.events, strict=True)),
        durations_s=dict.fromkeys(clips.keys, data.duration_s),
        classes=data.classes,
    )


def smoothed(clips: EvaluationSet, widths_s: Sequence[float], data: Data) -> EvaluationSet:
    """The set after a median filter, one width per class."""
    scores = {k: median_filter(s, widths_s, data.hop_s) for k, s in clips.scores.items()}
    return EvaluationSet(
        scores=scores,
        hop_s=clips.hop_s,
        ground_truth=clips.ground_truth,
        durations_s=clips.durations_s,
        classes=clips.classes,
    )


def choose_widths(clips: EvaluationSet, data: Data) -> list[float]:
    """Per class the width of the highest PSDS1 + PSDS2 on these clips."""
    quality = []  # (widths, classes)
    for width_s in MEDIAN_WIDTHS_S:
        smooth = smoothed(clips, [width_s] * len(data.classes), data)
        areas = [psds(smooth, settings).per_class for settings in (PSDS1, PSDS2)]
        quality.append([sum(area[name] for area in areas) for name in data.classes])
    return [MEDIAN_WIDTHS_S[best] for best in np.argmax(quality, axis=0)]


Statistic = Callable[[FloatArray], float]


def statistic(run: Run, number: str) -> Statistic:
    """A number of a run as a function of how often each test clip counts."""
    result: Callable
    if number == "frame_ap":
        result = frame_table(run.raw).result
    elif number == "event_f1":
        result = counts_at(run.smooth).result
    else:
        result = psds_counts(run.smooth, {"psds1": PSDS1, "psds2": PSDS2}[number]).result
    return lambda weights: result(weights).value


def counts_at(clips: EvaluationSet, threshold: float = 0.5) -> CountTable:
    """Matches of the events that scores decode to."""
    detections = {
        clip: decode_at(clips.scores[clip], clips.classes, clips.edges_s(clip), threshold)
        for clip in clips.clips
    }
    return event_counts(detections, clips.ground_truth, clips.classes)


def resampled(run: Run, data: Data, draws: int) -> dict[str, list[float]]:
    """Each number on resamples of the sources of test clips, the same ones for every run."""
    sources = dict(zip(data.clips["test"].keys, data.clips["test"].sources, strict=True))
    drawn = source_draws([sources[key] for key in run.raw.clips], draws)
    return {number: list(map(statistic(run, number), drawn)) for number in NUMBERS}


def mean_statistic(runs: Sequence[Run], number: str) -> Statistic:
    """The mean over runs, on the same clips."""
    statistics = [statistic(run, number) for run in runs]
    return lambda weights: float(np.mean([one(weights) for one in statistics]))


def difference(first: Sequence[Run], second: Sequence[Run], number: str) -> Interval:
    """Mean of `first - second` over paired runs, 95 % interval over resampled test clips."""
    one, other = mean_statistic(first, number), mean_statistic(second, number)
    draws = cluster_draws(range(len(first[0].raw.clips)), DRAWS[number])
    return bootstrap_interval(lambda weights: one(weights) - other(weights), draws)


def label_sets(targets: Tensor) -> np.ndarray:
    """The set of labels of each frame as one number: `(..., classes)` to `(...)`."""
    powers = 2 ** np.arange(targets.shape[-1])
    return (targets.numpy() > 0) @ powers
