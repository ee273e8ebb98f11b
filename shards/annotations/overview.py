"""What each format holds, as a table; `python -m shards.annotations.overview` prints it.

`docs/annotations.md` holds the same, and is written anew by that command.
"""

import sys

from shards.annotations.event import OPTIONAL_FIELDS
from shards.annotations.format import Format
from shards.annotations.registry import FORMATS

HEAD = """# What formats of annotations hold

All hold onset, offset and label of each event, and files without events. What else survives writing
and reading is below; `pmam convert` and `pmam detect` tell what a format cannot hold of the events
at hand. Times are rounded to microseconds unless said otherwise. Written by
`python -m shards.annotations.overview > docs/annotations.md`.

"""
COLUMNS = {
    "score": "score",
    "low_hz": "low Hz",
    "high_hz": "high Hz",
    "channel": "channel",
    "annotator": "annotator",
    "notes": "notes",
}


def row(name: str, text_format: Format) -> list[str]:
    """Cells of a format."""
    if text_format.holds_extra:
        others = "any"
    else:
        others = ", ".join(sorted(text_format.holds_columns)) or "-"
    notes = []
    if text_format.resolution_s > 1e-6:
        notes.append(f"times to {text_format.resolution_s:g} s")
    if not text_format.holds_points:
        notes.append("no points in time")
    if text_format.changes_text is not None:
        notes.append("some characters of labels are written as others")
    return [
        f"`{name}`",
        text_format.title,
        f"`{text_format.suffix}`",
        "one" if text_format.one_file else "many",
        "yes" if text_format.names_files else "-",
        *("yes" if field in text_format.holds else "-" for field in OPTIONAL_FIELDS),
        others,
        "; ".join(notes),
    ]


def page() -> str:
    """Markdown, a row a format."""
    head = ["format", "what it is", "suffix", "recordings a file", "names them"]
    head += [*(COLUMNS[field] for field in OPTIONAL_FIELDS), "other columns", ""]
    rows = [head, ["---"] * len(head), *(row(name, each) for name, each in FORMATS.items())]
    return HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


if __name__ == "__main__":
    sys.stdout.write(page())
