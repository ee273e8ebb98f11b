"""The table of formats in the documentation is the code's, and what it promises is so."""

from pathlib import Path

import pytest

from shards.annotations.event import OPTIONAL_FIELDS, AnnotatedFile, SoundEvent
from shards.annotations.format import Content
from shards.annotations.overview import COLUMNS, page
from shards.annotations.registry import FORMATS, write

DOCS = Path(__file__).resolve().parents[3] / "docs" / "annotations.md"


def test_the_documentation_holds_it() -> None:
    told = "write it: python -m shards.annotations.overview > docs/annotations.md"
    assert DOCS.read_text() == page(), told


@pytest.mark.parametrize("name", FORMATS)
def test_a_cell_says_yes_where_the_value_comes_back(name: str) -> None:
    values = {
        "score": 0.75,
        "low_hz": 200.0,
        "high_hz": 900.0,
        "channel": 2,
        "annotator": "Ann",
        "notes": "far",
    }
    event = SoundEvent(onset_s=0.5, offset_s=1.25, label="dog", **values)  # type: ignore[arg-type]
    file = AnnotatedFile(file="day.wav", events=(event,), duration_s=3.0, sample_rate_hz=16000)
    data = b"".join(write([file], FORMATS[name]))
    (read,) = FORMATS[name].read(Content(data=data, path="day", audio="day.wav"))
    (again,) = read.events
    assert (again.onset_s, again.offset_s, again.label) == (0.5, 1.25, "dog")
    (line,) = [line for line in page().splitlines() if line.startswith(f"| `{name}` |")]
    after = 1 + 5  # the empty text before the first bar, then what is told of files
    cells = [cell.strip() for cell in line.split("|")][after : after + len(COLUMNS)]
    says = dict(zip(COLUMNS, cells, strict=True))
    for field in OPTIONAL_FIELDS:
        if says[field] == "yes":
            assert getattr(again, field) == values[field], field
        else:
            assert getattr(again, field) is None, field
