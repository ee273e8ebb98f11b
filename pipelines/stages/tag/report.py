"""What `pmam classify` writes: tables, JSON, numbers, figures."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from pipelines.runtime.files.urls import join, store
from pipelines.stages.tag.plots import event_figures, scene_figures
from pipelines.stages.tag.results import json_list
from pipelines.stages.tag.truth import (
    Truth,
    event_answers,
    named,
    named_scenes,
    numbers_of,
    scene_answers,
)
from pipelines.stages.tag.words import Classified
from pmam.settings import to_json
from pmam.tagging.settings import WordSettings
from shards.annotations.delimited import line

EVENTS, SCENES, RESULTS = "events.tsv", "scenes.tsv", "results.json"
WORDS, NUMBERS, SKIPPED = "words.json", "numbers.json", "skipped.tsv"


def event_table(found: Iterable[Classified]) -> bytes:
    """Tab-separated, as `pmam detect` writes events."""
    rows = [line(("filename", "onset", "offset", "event_label", "score"), "\t")]
    for each in found:
        for one in each.events:
            event = one.event
            times = (f"{event.onset_s:.3f}", f"{event.offset_s:.3f}")
            rows.append(line((each.recording.name, *times, event.label, f"{one.score:.4g}"), "\t"))
    return "".join(rows).encode("utf-8", "backslashreplace")


def scene_table(found: Iterable[Classified]) -> bytes:
    """Tab-separated, a row for each recording; the best scenes first, with commas between."""
    rows = [line(("filename", "level1", "selected", "top5"), "\t")]
    for each in found:
        assert each.scenes is not None
        cells = (
            ",".join(each.scenes.level1),
            ",".join(scene for scene, _ in each.scenes.selected),
            ",".join(scene for scene, _ in each.scenes.top5),
        )
        rows.append(line((each.recording.name, *cells), "\t"))
    return "".join(rows).encode("utf-8", "backslashreplace")


def tables(
    found: Sequence[Classified], words: Sequence[str], scenes: Sequence[str]
) -> Iterator[bytes]:
    """The table of events, that of scenes, or both with an empty line between."""
    if words:
        yield event_table(found)
    if words and scenes:
        yield b"\n"
    if scenes:
        yield scene_table(found)


def results_json(found: Iterable[Classified]) -> bytes:
    """A list of recordings with their events and scenes."""
    return b"".join(json_list(each.to_json() for each in found))


def compared(
    found: Sequence[Classified],
    words: Sequence[str],
    scenes: Sequence[str],
    labels: Sequence[str] = (),
    scene_labels: Sequence[str] = (),
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Numbers and figures against what datasets say of their clips; empty where they say nothing.

    Args:
        found: all recordings.
        words, scenes: those of the user.
        labels, scene_labels: the dataset's names of each, where these are others.

    Raises:
        TagError: names that do not fit.
    """
    truth = Truth.of(found)
    of_events = named(words, labels, truth.classes, "--labels")
    of_scenes = named_scenes(scenes, scene_labels, truth.scene_names())
    events = event_answers(found, truth, of_events) if of_events else None
    answers = scene_answers(found, truth, of_scenes)
    figures: dict[str, Figure] = {}
    if events is not None:
        figures |= event_figures(events)
    if answers is not None:
        figures |= scene_figures(answers)
    numbers = numbers_of(events, answers)
    if numbers:
        numbers["labels"], numbers["scene_labels"] = of_events, of_scenes
    return numbers, figures


def write_all(
    folder: str,
    found: Sequence[Classified],
    meanings: Sequence[Mapping[str, Any]],
    numbers: Mapping[str, Any],
    figures: Mapping[str, Figure],
    settings: WordSettings,
) -> None:
    """Everything, each file whole; numbers and figures where there are some."""
    place = store(folder)
    if any(each.words for each in found):
        place.write(EVENTS, event_table(found))
    if any(each.scenes is not None for each in found):
        place.write(SCENES, scene_table(found))
    place.write(RESULTS, results_json(found))
    place.write(WORDS, as_json({"words": meanings, "settings": to_json(settings)}))
    if numbers:
        place.write(NUMBERS, as_json(numbers))
    write_figures(folder, figures)


def write_figures(folder: str, figures: Mapping[str, Figure]) -> None:
    """PNG files in `figures/`."""
    place = store(join(folder, "figures"))
    for name, figure in figures.items():
        place.write(f"{name}.png", png(figure))


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    return data.getvalue()


def write_skipped(folder: str, skipped: Sequence[tuple[str, str]]) -> None:
    """The recordings that could not be read, and why; no file where there are none."""
    place = store(folder)
    if not skipped:
        place.delete(SKIPPED)
        return
    rows = [line(("filename", "error"), "\t"), *(line(each, "\t") for each in skipped)]
    place.write(SKIPPED, "".join(rows).encode("utf-8", "backslashreplace"))


def as_json(value: Any) -> bytes:
    """Plain values as a file."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def number_rows(numbers: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of a table of numbers, for people: a row a number."""
    groups = {
        "events, clips": numbers.get("events_in_clips"),
        "events, windows": numbers.get("events_in_windows"),
        "scenes, yes or no": numbers.get("scene_answers"),
    }
    there = {title: each for title, each in groups.items() if each}
    names: Iterable[str] = next(iter(there.values()), {})
    rows = [(name, *(_cell(each[name]) for each in there.values())) for name in names]
    return ("", *there), rows


def scene_rows(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    """Shares of clips whose true scene is in what each rule gives."""
    return [(rule, _cell(each)) for rule, each in numbers.get("scenes", {}).items()]


def _cell(number: dict[str, float | None]) -> str:
    if number["value"] is None:
        return "-"
    if number["low_95"] is None:
        return f"{number['value']:.3f}"
    return f"{number['value']:.3f} ({number['low_95']:.2f} to {number['high_95']:.2f})"
