"""Prototypes as one HTML page that needs nothing else; all text of the dataset is escaped."""

from collections.abc import Iterable
from html import escape
from typing import Any

from pipelines.pages.parts import STYLE, counted, table
from pipelines.stages.prototypes.excerpts import CONTEXT_S, MAX_GAIN, Excerpt, Excerpts
from pipelines.stages.prototypes.report import level_of, share_text

SHOWN_CLASSES = 40  # before the list folds
MAPPED = 150  # prototypes; a map of more cannot be read
WHAT = {"strong": "events", "weak": "tags of whole clips"}

# Nothing is loaded and nothing runs, whatever a label says.
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
OWN_STYLE = """
.prototype { border-top: 1px solid #e2e8f0; padding: .4rem 0 1rem; }
.prototype h3 { font-size: 1rem; margin: .5rem 0 .1rem; }
.unused h3 { color: #718096; }
.sounds { display: flex; flex-wrap: wrap; gap: .7rem; margin: .5rem 0; }
figure { margin: 0; width: 12.6rem; }
.seen { position: relative; height: 6rem; }
.seen img { width: 100%; height: 100%; image-rendering: auto; display: block; }
.seen span { position: absolute; top: 0; bottom: 0; border: solid #5ef0ff; border-width: 0 2px; }
.said td:last-child, .said th:last-child { text-align: left; }
figure audio { width: 100%; height: 2rem; }
figcaption { font-size: .74rem; line-height: 1.3; color: #4a5568; overflow-wrap: anywhere; }
.map { margin-top: 1rem; font-size: .75rem; line-height: 1; }
.map caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
.map td { border: 1px solid #edf2f7; padding: 0; min-width: 1.1rem; height: 1.1rem; }
.map th { border: 0; padding: .1rem .3rem; text-align: right; font-weight: 400; }
.map .name { text-align: left; white-space: nowrap; }
.map .number { writing-mode: vertical-rl; padding: .3rem .1rem; }
"""


def page(found: dict[str, Any], name: str, cut: Excerpts) -> str:
    """The whole page.

    Args:
        found: what `prototypes_report.described` tells.
        name: of the dataset.
        cut: segments to see and hear, by place in `of_prototypes` and in the list there.
    """
    title = f"Prototypes of {escape(name)}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{STYLE}{OWN_STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            *_lead(found),
            *_overlaps(found),
            *_overview(found),
            *_prototypes(found, cut),
            "</body></html>",
            "",
        ]
    )


def _lead(found: dict[str, Any]) -> Iterable[str]:
    kind = "a Gaussian mixture" if found["kind"] == "gmm" else "k-means"
    yield (
        f'<p class="lead">{counted(found["prototypes"], "prototype", "prototypes")} of {kind}; '
        f"{found['frames']} frames every {found['hop_s'] * 1000:g} ms, of {found['clips']} clips"
        f"<br>fit {escape(found['fit'])}<br>dataset {escape(found['dataset'])}</p>"
    )
    yield (
        f"<p>{found['in_use']} of {found['prototypes']} in use (mean posterior of at least a tenth "
        f"of an equal share). Mean maximal posterior {found['mean_max_posterior']:.3f}, mean "
        f"entropy {found['mean_entropy']:.3f} of at most {found['greatest_entropy']:.3f} nats.</p>"
    )
    if found["frames_without_posterior"]:
        yield f"<p>{found['frames_without_posterior']} frames were stored without a posterior.</p>"


def _overlaps(found: dict[str, Any]) -> Iterable[str]:
    yield "<h2>Prototypes and labels</h2>"
    if not found["overlap"]:
        yield "<p>The clips have no labels to compare with.</p>"
    for level, overlap in found["overlap"].items():
        active = overlap["mutual_information_active"]
        where = "" if active is None else f"{active:.3f} where any class sounds, "
        yield (
            f"<p>{overlap['frames']} frames have labels ({WHAT[level]}); in {overlap['active']} "
            f"any class sounds, in {overlap['overlapping']} several. Normalised mutual information "
            f"with the sets of classes: {where}{overlap['mutual_information']:.3f} in all. "
            f"Purity: {overlap['purity']:.3f}.</p>"
        )
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
        head = ("class", "frames", "prototype", "of the class in it", "of it in the class")
        yield table(head, rows[:SHOWN_CLASSES])
        if len(rows) > SHOWN_CLASSES:
            yield f"<details><summary>{len(rows) - SHOWN_CLASSES} rarer classes</summary>"
            yield f"{table(head, rows[SHOWN_CLASSES:])}</details>"
    yield from _class_map(found)


def _class_map(found: dict[str, Any]) -> Iterable[str]:
    """Shares of the classes in the prototypes, which stand in the order of their first class."""
    level = level_of(found)
    columns = [
        (of["prototype"], {share["label"]: share["share"] for share in of["labels"][level]})
        for of in found["of_prototypes"]
        if level in of["labels"]
    ]
    if level is None or not 0 < len(columns) <= MAPPED:
        return
    names = [of["label"] for of in found["overlap"][level]["classes"]][:SHOWN_CLASSES]
    names.append(None)
    place = {name: number for number, name in enumerate(names)}

    def order(column: tuple[int, dict[str | None, float]]) -> tuple[int, float]:
        first = max(column[1], key=lambda label: column[1][label])
        return place.get(first, len(names)), -column[1][first]

    columns.sort(key=order)
    yield '<div class="scroll"><table class="map"><caption>Share of each prototype\'s labelled '
    yield "frames in which a class sounds (the darker, the more)</caption>"
    for name in names:
        title = escape("no event" if name is None else name)
        cells = "".join(_shade(shares.get(name, 0.0)) for _, shares in columns)
        yield f'<tr><th class="name">{title}</th>{cells}</tr>'
    numbers = "".join(f'<th class="number">{z}</th>' for z, _ in columns)
    yield f"<tr><th></th>{numbers}</tr></table></div>"


def _shade(share: float) -> str:
    return f'<td style="background:rgba(8,48,107,{share:.2f})"></td>' if share else "<td></td>"


def _overview(found: dict[str, Any]) -> Iterable[str]:
    level = level_of(found)
    most = max((of["share"] for of in found["of_prototypes"]), default=0) or 1
    yield '<h2>Overview</h2><div class="said">'
    yield table(
        ("prototype", "frames", "share", "", "mean posterior", "where likeliest", "labels"),
        (
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
        ),
        bars=3,
    )
    yield "</div>"


def _prototypes(found: dict[str, Any], cut: Excerpts) -> Iterable[str]:
    level = level_of(found)
    yield "<h2>Segments</h2>"
    yield (
        "<p>Those with the greatest mean posterior, between the lines; "
        f"{CONTEXT_S:g} s before and after are shown, up to 8 kHz, each as loud as its loudest "
        f"sample allows (at most {MAX_GAIN:g} times as loud as it was).</p>"
    )
    if cut.left_out:
        yield f"<p>{counted(cut.left_out, 'segment', 'segments')} had no room (--page-mb).</p>"
    for place, of in enumerate(found["of_prototypes"]):
        unused = "" if of["frames"] else " unused"
        labels = share_text(of["labels"].get(level, []), 5)
        size = f"{of['share']:.2%} of the frames" if of["frames"] else "the likeliest of no frame"
        yield f'<div class="prototype{unused}"><h3>Prototype {of["prototype"]}: {size}</h3>'
        if labels:
            yield f"<div>{escape(labels)}</div>"
        yield '<div class="sounds">'
        for rank, segment in enumerate(of["segments"]):
            if (place, rank) in cut.made:
                yield _figure(segment, cut.made[place, rank])
            elif (place, rank) in cut.failed:
                reason = escape(cut.failed[place, rank])
                yield f"<figure><figcaption>{reason}</figcaption></figure>"
        yield "</div>"
        if of["segments"]:
            yield '<details class="said"><summary>'
            yield f"{counted(len(of['segments']), 'segment', 'segments')}</summary>"
            yield _list(of["segments"])
            yield "</details>"
        else:
            yield "<p>No segment has any posterior of it.</p>"
        yield "</div>"


def _figure(segment: dict[str, Any], excerpt: Excerpt) -> str:
    length_s = excerpt.stop_s - excerpt.start_s
    left = (segment["start_s"] - excerpt.start_s) / length_s
    right = max(0.0, (excerpt.stop_s - segment["stop_s"]) / length_s)
    return (
        f'<figure><div class="seen"><img src="{excerpt.picture}" alt="spectrogram">'
        f'<span style="left:{left:.1%};right:{right:.1%}"></span></div>'
        f'<audio controls preload="none" src="{excerpt.sound}"></audio>'
        f"<figcaption>{escape(_caption(segment))}</figcaption></figure>"
    )


def _caption(segment: dict[str, Any]) -> str:
    return (
        f"{segment['source_id']} {segment['start_s']:.2f}–{segment['stop_s']:.2f} s, "
        f"posterior {segment['mean_posterior']:.3f}{_labels(segment, ': ')}"
    )


def _labels(segment: dict[str, Any], before: str = "") -> str:
    if segment["labels"]:
        return before + ", ".join(segment["labels"])
    if segment["clip_labels"]:
        return f"{before}somewhere {', '.join(segment['clip_labels'])}"
    return ""


def _list(segments: list[dict[str, Any]]) -> str:
    return table(
        ("clip", "from (s)", "to (s)", "mean posterior", "greatest", "labels"),
        (
            (
                segment["key"],
                f"{segment['start_s']:.2f}",
                f"{segment['stop_s']:.2f}",
                f"{segment['mean_posterior']:.4f}",
                f"{segment['max_posterior']:.4f}",
                _labels(segment),
            )
            for segment in segments
        ),
    )
