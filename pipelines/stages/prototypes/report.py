"""A survey of prototypes as plain values, which table, JSON and page are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipelines.stages.prototypes.survey import Survey
from pmam.metrics.clustering import LabelOverlap
from pmam.prototypes.artifact import Prototypes
from pmam.prototypes.usage import Segment
from shards.index import IndexRow

SHOWN_SHARES = 5  # classes listed for each prototype


def described(survey: Survey, prototypes: Prototypes, rows: dict[str, IndexRow]) -> dict[str, Any]:
    """All that is known of the prototypes, the most used first.

    Args:
        survey: sums and segments.
        prototypes: the fit.
        rows: the clips that segments are of, by key.
    """
    usage, k = survey.usage, len(survey.usage.counts)
    frames = max(1, usage.frames)
    shares = {name: overlap.shares() for name, overlap in survey.overlaps.items()}
    best = survey.top.best()
    found = []
    for z in sorted(range(k), key=lambda z: (-int(usage.counts[z]), -float(usage.mass[z]), z)):
        count = int(usage.counts[z])
        found.append(
            {
                "prototype": z,
                "frames": count,
                "share": count / frames,
                "mean_posterior": float(usage.mass[z]) / frames,
                "mean_max_posterior": float(usage.maxima[z]) / count if count else None,
                "labels": {
                    name: [asdict(share) for share in of[z][:SHOWN_SHARES]]
                    for name, of in shares.items()
                    if z in of
                },
                "segments": [_segment(segment, rows[segment.key]) for segment in best[z]],
            }
        )
    return {
        "kind": prototypes.kind,
        "prototypes": k,
        "clips": survey.clips,
        "frames": usage.frames,
        "hours": usage.frames * survey.hop_s / 3600,
        "hop_s": survey.hop_s,
        "frames_without_posterior": usage.empty,
        "in_use": int((usage.mass / frames >= 0.1 / k).sum()),
        "unused": [z for z in range(k) if not usage.counts[z]],
        "mean_max_posterior": float(usage.maxima.sum()) / frames,
        "mean_entropy": usage.entropy / frames,
        "greatest_entropy": math.log(k),
        "overlap": {
            name: _overlap(overlap) for name, overlap in survey.overlaps.items() if overlap.frames
        },
        "of_prototypes": found,
    }


def _overlap(overlap: LabelOverlap) -> dict[str, Any]:
    return {
        "frames": overlap.frames,
        "active": overlap.active,
        "overlapping": overlap.overlapping,
        "mutual_information_active": overlap.mutual_information(active=True),
        "mutual_information": overlap.mutual_information(active=False),
        "purity": overlap.purity(),
        "classes": [asdict(of_class) for of_class in overlap.classes()],
    }


def _segment(segment: Segment, row: IndexRow) -> dict[str, Any]:
    return {
        **asdict(segment),
        "source_id": row.source_id,
        "labels": heard(segment, row),
        "clip_labels": sorted(set(row.weak or ())) if row.events is None else [],
    }


def heard(segment: Segment, row: IndexRow) -> list[str]:
    """The classes with an event in a segment."""
    return sorted(
        {
            event.label
            for event in row.events or ()
            if event.onset_s < segment.stop_s and event.offset_s > segment.start_s
        }
    )


def level_of(found: dict[str, Any]) -> str | None:
    """Which labels are shown where one kind must do: those of frames, if there are any."""
    return next(iter(found["overlap"]), None)


def share_text(shares: Sequence[dict[str, Any]], most: int) -> str:
    """`dog 61%, no event 20%`; without those that round to nothing."""
    return ", ".join(
        f"{'no event' if s['label'] is None else s['label']} {s['share']:.0%}"
        for s in shares[:most]
        if s["share"] >= 0.005
    )


def words_text(words: Sequence[Mapping[str, Any]]) -> str:
    """Words with their scores, as `rain 0.81, dog 0.02`."""
    return ", ".join(f"{each['word']} {each['score']:.2f}" for each in words)
