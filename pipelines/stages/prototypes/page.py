"""Prototypes as one HTML page that needs nothing else."""

from collections.abc import Sequence
from typing import Any

from pipelines.pages.render import rendered
from pipelines.pages.sound import MAX_GAIN, Excerpt
from pipelines.stages.prototypes.excerpts import CONTEXT_S, Excerpts
from pipelines.stages.prototypes.report import level_of, share_text, words_text

SHOWN_CLASSES = 40  # before the list folds
MAPPED = 150  # prototypes; a map of more cannot be read
WHAT = {"strong": "events", "weak": "tags of whole clips"}
Row = Sequence[str]


def page(found: dict[str, Any], name: str, cut: Excerpts) -> str:
    """The whole page.

    Args:
        found: what `report.described` tells.
        name: of the dataset.
        cut: segments to see and hear, by place in `of_prototypes` and in the list there.
    """
    return rendered(
        "prototypes.html",
        title=f"Prototypes of {name}",
        found=found,
        overlaps=[_overlap(level, overlap) for level, overlap in found["overlap"].items()],
        shown_classes=SHOWN_CLASSES,
        map=_class_map(found),
        overview=_overview(found),
        context_s=CONTEXT_S,
        max_gain=MAX_GAIN,
        left_out=cut.left_out,
        prototypes=[
            shown_prototype(of, level_of(found), place, cut)
            for place, of in enumerate(found["of_prototypes"])
        ],
    )


def _overlap(level: str, overlap: dict[str, Any]) -> dict[str, Any]:
    rows = [
        (
            of["label"],
            f"{of['frames']}",
            f"{of['cluster']}",
            f"{of['recall']:.1%}",
            f"{of['precision']:.1%}",
        )
        for of in overlap["classes"]
    ]
    rarer = f"{len(rows) - SHOWN_CLASSES} rarer classes"
    return {**overlap, "what": WHAT[level], "rows": rows, "rarer": rarer}


def _class_map(found: dict[str, Any]) -> dict[str, Any] | None:
    """Shares of the classes in the prototypes, which stand in the order of their first class."""
    level = level_of(found)
    columns = [
        (of["prototype"], {share["label"]: share["share"] for share in of["labels"][level]})
        for of in found["of_prototypes"]
        if level in of["labels"]
    ]
    if level is None or not 0 < len(columns) <= MAPPED:
        return None
    names = [of["label"] for of in found["overlap"][level]["classes"]][:SHOWN_CLASSES]
    names.append(None)
    place = {name: number for number, name in enumerate(names)}

    def order(column: tuple[int, dict[str | None, float]]) -> tuple[int, float]:
        first = max(column[1], key=lambda label: column[1][label])
        return place.get(first, len(names)), -column[1][first]

    columns.sort(key=order)
    rows = [
        {
            "name": "no event" if name is None else name,
            "shares": [shares.get(name, 0.0) for _, shares in columns],
        }
        for name in names
    ]
    return {"rows": rows, "numbers": [number for number, _ in columns]}


def _overview(found: dict[str, Any]) -> list[Row]:
    level = level_of(found)
    most = max((of["share"] for of in found["of_prototypes"]), default=0) or 1
    return [
        (
            str(of["prototype"]),
            str(of["frames"]),
            f"{of['share']:.2%}",
            f"{of['share'] / most:.4f}",
            f"{of['mean_posterior']:.4f}",
            "" if of["mean_max_posterior"] is None else f"{of['mean_max_posterior']:.3f}",
            share_text(of["labels"].get(level, []), 3),
        )
        for of in found["of_prototypes"]
    ]


def shown_prototype(
    of: dict[str, Any], level: str | None, place: int, cut: Excerpts
) -> dict[str, Any]:
    """What a page shows of one prototype; its place in the list finds its sounds."""
    figures: list[dict[str, Any]] = []
    for rank, segment in enumerate(of["segments"]):
        if (place, rank) in cut.made:
            figures.append(_figure(segment, cut.made[place, rank]))
        elif (place, rank) in cut.failed:
            figures.append({"failed": cut.failed[place, rank]})
    return {
        "number": of["prototype"],
        "frames": of["frames"],
        "share": of["share"],
        "labels": share_text(of["labels"].get(level, []), 5),
        "words": words_text(of.get("words", [])),
        "figures": figures,
        "segments": [_segment(segment) for segment in of["segments"]],
    }


def _figure(segment: dict[str, Any], excerpt: Excerpt) -> dict[str, Any]:
    return {
        "excerpt": excerpt,
        "left": excerpt.place(segment["start_s"]),
        "right": excerpt.place(segment["stop_s"]),
        "caption": f"{segment['source_id']} {segment['start_s']:.2f}–{segment['stop_s']:.2f} s, "
        f"posterior {segment['mean_posterior']:.3f}{_labels(segment, ': ')}",
    }


def _labels(segment: dict[str, Any], before: str = "") -> str:
    if segment["labels"]:
        return before + ", ".join(segment["labels"])
    if segment["clip_labels"]:
        return f"{before}somewhere {', '.join(segment['clip_labels'])}"
    return ""


def _segment(segment: dict[str, Any]) -> Row:
    return (
        segment["key"],
        f"{segment['start_s']:.2f}",
        f"{segment['stop_s']:.2f}",
        f"{segment['mean_posterior']:.4f}",
        f"{segment['max_posterior']:.4f}",
        _labels(segment),
    )
