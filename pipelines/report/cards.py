"""Mistakes as cards to see and hear: spectrogram, truth and detections, scores, and sound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.pages.sound import Excerpt, cut
from pipelines.report.mistakes import Mistake
from pipelines.report.numbers import Scored
from pipelines.runtime.errors import USER_ERRORS
from pipelines.runtime.files.urls import open_dataset
from pmam.events.event import Event

CONTEXT_S = 2.0  # before and after
LONGEST_S = 12.0  # of a longer event, the beginning


@dataclass(frozen=True, kw_only=True)
class Cards:
    """What the page shows, and why some of it is not there."""

    cards: list[dict[str, Any]]
    left_out: int  # because the page would become too large
    failed: list[str]  # clips that could not be read


def cards(
    output: Scored, chosen: Sequence[Mistake], max_bytes: int, other: Scored | None = None
) -> Cards:
    """The cards of some mistakes of one detector, in the order given.

    Args:
        output: the detector's scores.
        chosen: its mistakes.
        max_bytes: of sounds and pictures; what comes after them is left out.
        other: a detector of the same clips, whose detections are shown beside.
    """
    assert output.run.dataset is not None
    dataset = open_dataset(output.run.dataset)
    made: list[dict[str, Any]] = []
    failed: list[str] = []
    used = 0
    for number, mistake in enumerate(chosen):
        row = output.rows[mistake.clip]
        try:
            (excerpt,) = cut(dataset, row, [_span(mistake, row.duration_s)])
        except USER_ERRORS as error:
            failed.append(" ".join(str(error).split()))
            continue
        used += excerpt.size
        if used > max_bytes:
            left_out = len(chosen) - number
            return Cards(cards=made, left_out=left_out, failed=failed)
        made.append(card_of(output, mistake, excerpt, other))
    return Cards(cards=made, left_out=0, failed=failed)


def _span(mistake: Mistake, duration_s: float) -> tuple[float, float]:
    start_s, stop_s = mistake.span_s
    start_s = max(0.0, min(start_s, duration_s - 0.1) - CONTEXT_S)
    return start_s, min(duration_s, stop_s + CONTEXT_S, start_s + LONGEST_S)


def card_of(
    output: Scored, mistake: Mistake, excerpt: Excerpt, other: Scored | None
) -> dict[str, Any]:
    """What the page shows of a mistake, with a stretch of its clip."""
    clip = output.clips.clips[mistake.clip]
    truth, found = output.clips.ground_truth[clip], output.detections[clip]
    alone = [] if other is None else other.detections[clip]
    spans = {"truth": truth, "found": found, "alone": alone}
    here = {
        name: [e for e in events if e.onset_s < excerpt.stop_s and e.offset_s > excerpt.start_s]
        for name, events in spans.items()
    }
    labels = sorted({e.label for events in here.values() for e in events} | {mistake.label})
    labels.sort(key=lambda label: label != mistake.label)
    return {
        "kind": mistake.kind,
        "label": mistake.label,
        "clip": clip,
        "run": output.run.name,
        "times": _times(mistake.span_s),
        "said": _said(mistake, truth, other, clip),
        "excerpt": excerpt,
        "lanes": [_lane(label, here, excerpt, other is not None) for label in labels],
        "curve": _curve(output, mistake, excerpt),
        "limit": round(100 * (1 - mistake.threshold), 2),
        "from": f"{excerpt.start_s:.2f} s",
        "to": f"{excerpt.stop_s:.2f} s",
    }


def _lane(
    label: str, here: Mapping[str, Sequence[Event]], excerpt: Excerpt, compared: bool
) -> dict[str, Any]:
    names = ("truth", "found", "alone") if compared else ("truth", "found")
    bars = [
        {
            "of": name,
            "spans": [
                (excerpt.place(e.onset_s), round(excerpt.place(e.offset_s), 2))
                for e in here[name]
                if e.label == label
            ],
        }
        for name in names
    ]
    return {"label": label, "bars": bars}


def _curve(output: Scored, mistake: Mistake, excerpt: Excerpt) -> str:
    """The class's scores as points of an SVG that is 100 wide and 100 high."""
    clip = output.clips.clips[mistake.clip]
    edges_s = output.clips.edges_s(clip)
    scores = output.clips.scores[clip][:, list(output.clips.classes).index(mistake.label)]
    shown = np.flatnonzero((edges_s[1:] > excerpt.start_s) & (edges_s[:-1] < excerpt.stop_s))
    points = []
    for frame in shown:
        height = 100 * (1 - min(max(float(scores[frame]), 0.0), 1.0))
        for edge in (edges_s[frame], edges_s[frame + 1]):
            points.append(f"{excerpt.place(float(edge)):g},{height:.1f}")
    return " ".join(points)


def _said(mistake: Mistake, truth: Sequence[Event], other: Scored | None, clip: str) -> str:
    """What is wrong, in a sentence or two."""
    peak = "no frame of it was scored" if mistake.peak == float("-inf") else None
    if mistake.kind == "missed":
        said = peak or f"its scores reach {mistake.peak:.3f}, the threshold is "
        said += "" if peak else f"{mistake.threshold:.3f}"
    elif mistake.kind == "false":
        assert mistake.found is not None
        sounding = sorted({e.label for e in truth if _overlap(e, mistake.found)})
        said = f"scores up to {mistake.peak:.3f}, the threshold is {mistake.threshold:.3f}; "
        said += f"{', '.join(sounding)} sounds there" if sounding else "nothing is labelled there"
    else:
        assert mistake.truth is not None and mistake.found is not None
        onset_s = mistake.found.onset_s - mistake.truth.onset_s
        offset_s = mistake.found.offset_s - mistake.truth.offset_s
        said = f"begins {_off(onset_s)}, ends {_off(offset_s)}"
    if other is not None and mistake.truth is not None:
        heard = any(
            one.label == mistake.label and _overlap(one, mistake.truth)
            for one in other.detections[clip]
        )
        said += f"; {other.arm.name} {'detects something' if heard else 'detects nothing'} there"
    return f"{said[0].upper()}{said[1:]}."


def _off(seconds: float) -> str:
    return f"{abs(seconds):.2f} s {'late' if seconds > 0 else 'early'}"


def _overlap(one: Event, other: Event) -> bool:
    return one.onset_s < other.offset_s and one.offset_s > other.onset_s


def _times(span_s: tuple[float, float]) -> str:
    return f"{span_s[0]:.2f} to {span_s[1]:.2f} s"
