"""Rows as people and programs write them: literally, or refused with their line."""

import json

import pytest

from shards.errors import SourceError
from shards.tables.rows import Row, json_rows, separated_rows

STRONG = "filename\tonset\toffset\tevent_label\n"


def rows(text: str, separator: str = "\t", required: tuple[str, ...] = ()) -> list[Row]:
    return separated_rows(text, separator, "t.tsv", required)


@pytest.mark.parametrize(
    "cell", ['"dog', '"dog"s', '"', '"a\nb.wav\t0\t1\tcat"', 'x\t"y', "a\x00b", "a\x1b[31m"]
)
def test_a_row_is_refused_by_its_number_and_swallows_no_other(cell: str) -> None:
    text = f"{STRONG}a.wav\t0\t1\tdog\nb.wav\t0\t1\t{cell}\nc.wav\t0\t1\tcat\n"
    with pytest.raises(SourceError) as caught:
        rows(text)
    assert "row 3" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_quotes_inside_a_cell_are_letters_and_whole_ones_are_taken_off() -> None:
    text = f'{STRONG}a.wav\t0\t1\t12" drum\nb.wav\t0\t1\t"say ""a"""\n\n"c d.wav"\t0\t1\tx\n'
    found = rows(text)
    assert [row["event_label"] for row in found] == ['12" drum', 'say "a"', "x"]
    assert [row["filename"] for row in found] == ["a.wav", "b.wav", "c d.wav"]
    assert [row.where for row in found] == ["t.tsv row 2", "t.tsv row 3", "t.tsv row 5"]


def test_all_bad_rows_are_told_at_once() -> None:
    bad = "".join(f'f{n}.wav\t0\t1\t"open\n' for n in range(25))
    with pytest.raises(SourceError, match=r"t\.tsv: 25 rows are wrong: row 2: .* and 5 more") as e:
        rows(STRONG + bad)
    assert "row 21:" in str(e.value)
    assert "row 22:" not in str(e.value)
    assert str(e.value).count("t.tsv") == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("separator", "usual"), [("\t", "\t"), (";", ","), (",", ","), ("\t", ","), (",", "\t")]
)
def test_headers_in_any_case_and_any_separator(separator: str, usual: str, end: str) -> None:
    lines = [["FileName", "Onset", "OFFSET", "Event Label"], ["a.wav", "0.5", "1", "Dog"]]
    text = end.join(separator.join(line) for line in lines)
    [row] = rows(text, usual, ("filename", "onset"))
    assert row == {"filename": "a.wav", "onset": "0.5", "offset": "1", "event_label": "Dog"}


def test_decimal_commas() -> None:
    text = "filename;onset;offset;event_label\na.wav;0,25;1;Dog, big\nb.wav;,5;1,75;x\n"
    found = rows(text, ",")
    assert [(row["onset"], row["offset"]) for row in found] == [("0.25", "1"), (".5", "1.75")]
    assert found[0]["event_label"] == "Dog, big"
    assert rows(f"sep=;\r\n{text}", ",") == found
    with pytest.raises(SourceError, match=r"row 2: got the time 0,25 and 1\.5 in row 4.*not both"):
        rows(f"{text}c.wav;1.5;2;x\n", ",")


def test_columns_that_come_twice_and_cells_without_a_column() -> None:
    with pytest.raises(SourceError, match=r"row 1: got the column 'filename' twice"):
        rows("filename\tFileName\na\tb\n")
    with pytest.raises(SourceError, match=r"row 3: got 3 cells under 2 columns, with a tab"):
        rows("filename\tx\na\tb\t\t\na\tb\tc\n")
    assert rows("filename\tx\na\tb\t\t\n") == [{"filename": "a", "x": "b"}]  # Excel's empty columns


def test_other_spellings_of_unicode_are_one() -> None:
    composed, decomposed = "V\u00f6gel", "Vo\u0308gel"
    found = rows(f"{STRONG}{decomposed}.wav\t0\t1\t{decomposed}\n")
    assert found[0]["event_label"] == composed
    assert found[0]["filename"] == f"{composed}.wav"


def test_lists_of_json_keep_their_commas() -> None:
    line = json.dumps({"FILENAME": "a.wav", "event_labels": ["Male speech, man speaking", "Dog"]})
    [row] = json_rows(line, "t.jsonl", ("filename",))
    assert row["filename"] == "a.wav"
    assert row.labels("event_labels") == ("Male speech, man speaking", "Dog")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"filename": "a", "filename": "b"}', "'filename' twice"),
        ('{"filename": {}}', "nested value"),
        ('{"filename": [["a"]]}', "nested value"),
        ('{"filename": "a\\nb"}', r"control character U\+000A"),
        ('{"filename": "\\ud800"}', r"control character U\+D800"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_json_that_is_no_row(line: str, reason: str) -> None:
    with pytest.raises(SourceError, match=rf"line 2: .*{reason}"):
        json_rows(f'{{"filename": "x"}}\n{line}\n', "t.jsonl")
