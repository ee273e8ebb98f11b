"""Outputs and truth as what metrics take: the same clips and classes of all systems."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.words import counted, listed
from pipelines.stages.evaluate.choosing import chosen
from pipelines.stages.evaluate.coverage import (
    clips_of_other_length,
    late_detections,
    refuse_unscored_events,
)
from pipelines.stages.evaluate.held_scores import HeldScores, Scores
from pipelines.stages.evaluate.outputs import AS_THEY_ARE, EventOutput, FrameOutput, Output
from pipelines.stages.evaluate.pairing import Pairing, check, pair
from pipelines.stages.evaluate.settings import EvaluateSettings
from pipelines.stages.evaluate.truth import Truth
from pmam.events.event import FloatArray, edges_within_s
from pmam.events.postprocessing import smooth
from pmam.events.settings import PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.detection_set import DetectionSet
from pmam.metrics.families import Evaluated
from shards.errors import Faults, ShardsError

log = logging.getLogger("pmam")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The systems of one subset, over the same clips and classes.

    Args:
        truth: of the clips that are evaluated.
        systems: by name.
        postprocess: of those with frame scores, how these became events.
        counts: what each of them lacked.
        told: the same in words.
    """

    truth: Truth
    systems: dict[str, Evaluated]
    postprocess: dict[str, PostprocessSettings]
    counts: dict[str, dict[str, int]]
    told: dict[str, list[str]]


def _made(
    output: FrameOutput,
    pairing: Pairing,
    truth: Truth,
    settings: PostprocessSettings,
    clip: str,
) -> tuple[Scores, FloatArray]:
    """A clip's scores of the truth's classes, post-processed, and the edges of its frames."""
    name, duration_s = pairing.clips[clip], truth.durations_s[clip]
    if name is None:
        silence = np.full((1, len(truth.classes)), -np.inf, np.float32)
        return silence, np.array([0.0, duration_s])
    raw, edges = output.read(name)
    if raw.ndim != 2 or raw.shape[1] != len(output.classes) or not len(raw):
        raise PipelineError(
            f"{output.name}: clip {name!r} has scores {raw.shape}; expected (frames, "
            f"{len(output.classes)}) with at least one frame"
        )
    if raw.dtype.kind not in "biuf":
        raise PipelineError(
            f"{output.name}: clip {name!r} has scores of the type {raw.dtype}; expected numbers"
        )
    if not np.issubdtype(raw.dtype, np.floating):
        raw = raw.astype(np.float64)
    if lacking := int((~(raw < np.inf)).sum()):
        raise PipelineError(
            f"{output.name}: clip {name!r} has scores that are NaN or infinite, {lacking} of "
            f"{raw.size}; expected numbers: check the detector on this clip"
        )
    columns = list(pairing.columns.values())
    scores = raw[:, [0 if column is None else column for column in columns]]
    if _smooths(settings):
        hop_s = edges if isinstance(edges, float) else equal_hop_s(edges, output.name, name)
        scores = smooth(scores, None, truth.classes, hop_s, settings)
    scores[:, [column is None for column in columns]] = -np.inf
    if isinstance(edges, float):
        return scores, edges_within_s(len(raw), edges, duration_s)
    return scores, edges


def _smooths(settings: PostprocessSettings) -> bool:
    widths_s = (settings.median_s, *settings.median_by_class_s.values())
    return settings.method != "median" or settings.clip_mask or max(widths_s) > 0


def equal_hop_s(edges_s: FloatArray, system: str, clip: str) -> float:
    """The length of frames between edges.

    Raises:
        PipelineError: they are not equally long, but for the last one.
    """
    lengths_s = np.diff(edges_s)
    hop_s = float(np.median(lengths_s))
    if (np.abs(lengths_s[:-1] - hop_s) > 2e-3 * hop_s + 2e-6).any():
        raise PipelineError(
            f"{system}: the frames of clip {clip!r} are not equally long, so that no filter in "
            "seconds fits them; leave out --median-s, --method and the like"
        )
    return hop_s


def compared(truth: Truth, outputs: Sequence[Output], settings: EvaluateSettings) -> Compared:
    """All systems beside a truth that has something to find.

    Raises:
        PipelineError, InputError: as `beside`, or nothing sounds in any clip.
    """
    found = beside(truth, outputs, settings)
    if not any(found.truth.events.values()):
        raise PipelineError(
            f"truth ({truth.subset}): no event of any class in "
            f"{counted(len(found.truth.events), 'clip')}; expected at least one to find"
        )
    return found


def beside(truth: Truth, outputs: Sequence[Output], settings: EvaluateSettings) -> Compared:
    """All systems beside the truth, also where nothing sounds.

    Raises:
        PipelineError, InputError: names do not fit, or scores are not as they should be.
    """
    pairings = [pair(truth, output, settings.classes) for output in outputs]
    told = {
        output.name: check(pairing, truth, output, settings.on_missing)
        for output, pairing in zip(outputs, pairings, strict=True)
    }
    counts = {o.name: p.counts for o, p in zip(outputs, pairings, strict=True)}
    if settings.on_missing == "drop":
        truth, pairings = _dropped(truth, outputs, pairings)
    found, faults = {}, Faults(PipelineError, ShardsError)
    for output, pairing in zip(outputs, pairings, strict=True):
        with faults.noted():
            found[output.name] = _evaluated(truth, output, pairing, settings)
    faults.check()
    for name, (evaluated, _) in found.items():
        if evaluated.scores is not None:
            other = clips_of_other_length(evaluated.scores)
            counts[name]["clips_of_other_length"] = len(other)
            if other:
                clips = counted(len(truth.events), "clip")
                told[name].append(
                    f"scores of {len(other)} of {clips} do not end with the clip ({listed(other)})"
                )
            if not settings.metrics or "frame_ranking" in settings.metrics:
                refuse_unscored_events(name, evaluated.scores)
        elif late := late_detections(evaluated.detections):
            counts[name]["detections_behind_clip"] = len(late)
            told[name].append(f"{counted(len(late), 'event')} behind the clip ({listed(late)})")
    return Compared(
        truth=truth,
        systems={name: evaluated for name, (evaluated, _) in found.items()},
        postprocess={name: used for name, (_, used) in found.items() if used is not None},
        counts=counts,
        told=told,
    )


def _dropped(
    truth: Truth, outputs: Sequence[Output], pairings: Sequence[Pairing]
) -> tuple[Truth, list[Pairing]]:
    """Clips and classes that all systems with frame scores have."""
    of_scores = [p for o, p in zip(outputs, pairings, strict=True) if isinstance(o, FrameOutput)]
    gone = {clip for pairing in of_scores for clip in pairing.clips_without_output}
    without = {name for pairing in of_scores for name in pairing.classes_without_output}
    clips = [clip for clip in truth.events if clip not in gone]
    classes = tuple(name for name in truth.classes if name not in without)
    if not clips or not classes:
        raise PipelineError("nothing is left: no clip, or no class, that all have")
    kept = replace(
        truth,
        events={c: [e for e in truth.events[c] if e.label in classes] for c in clips},
        durations_s={clip: truth.durations_s[clip] for clip in clips},
        recordings={clip: truth.recordings[clip] for clip in clips},
        classes=classes,
    )
    return kept, [
        replace(
            pairing,
            clips={clip: pairing.clips[clip] for clip in clips},
            columns={name: pairing.columns[name] for name in classes},
        )
        for pairing in pairings
    ]


def _evaluated(
    truth: Truth, output: Output, pairing: Pairing, settings: EvaluateSettings
) -> tuple[Evaluated, PostprocessSettings | None]:
    """A system beside the truth, and how its scores became events."""
    if isinstance(output, EventOutput):
        if settings.choose.metric is not None or settings.applied(AS_THEY_ARE) != AS_THEY_ARE:
            log.warning(
                "%s: events, no scores: nothing is chosen, no filter or threshold applied",
                output.name,
            )
        return Evaluated(events=_detections(truth, output, pairing)), None
    stored = _known(output.postprocess, truth.classes)
    used = settings.applied(stored)
    used.check(truth.classes)
    processed = partial(evaluation_set, truth, output, pairing)
    if settings.choose.metric is not None and any(truth.events.values()):
        used = chosen(processed, stored, settings)
        log.warning(
            "%s: post-processing is chosen on the clips that are evaluated: their numbers are too "
            "good; evaluate others with --postprocess",
            output.name,
        )
    log.info("%-14s %s: %s", "evaluate", output.name, used.in_words)
    scores = processed(used)
    filtered = [
        processed(replace(used, median_s=width_s, median_by_class_s={}))
        for width_s in settings.metric.filters_s
    ]
    return Evaluated(scores=scores, filtered=filtered), used


def _known(stored: PostprocessSettings, classes: Sequence[str]) -> PostprocessSettings:
    """What a detector stores, without classes that are not evaluated."""
    return replace(
        stored,
        median_by_class_s={k: v for k, v in stored.median_by_class_s.items() if k in classes},
        boxes_by_class={k: v for k, v in stored.boxes_by_class.items() if k in classes},
        threshold_by_class={k: v for k, v in stored.threshold_by_class.items() if k in classes},
    )


def evaluation_set(
    truth: Truth, output: FrameOutput, pairing: Pairing, settings: PostprocessSettings
) -> EvaluationSet:
    """A system's frame scores after post-processing, beside the truth."""
    make = partial(_made, output, pairing, truth, settings)
    scores = HeldScores(clips=tuple(truth.events), make=make)
    return EvaluationSet(
        scores=scores,
        hop_s=scores.edges_s,
        ground_truth=truth.events,
        durations_s=truth.durations_s,
        classes=truth.classes,
        threshold=settings.thresholds(truth.classes),
    )


def _detections(truth: Truth, output: EventOutput, pairing: Pairing) -> DetectionSet:
    return DetectionSet(
        points={
            name: {
                clip: [e for e in point.get(own or "", []) if e.label in truth.classes]
                for clip, own in pairing.clips.items()
            }
            for name, point in output.points.items()
        },
        ground_truth=truth.events,
        durations_s=truth.durations_s,
        classes=truth.classes,
    )
