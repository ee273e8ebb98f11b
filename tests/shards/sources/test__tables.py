"""Label tables in three formats, and errors that name file and row."""

from pathlib import Path

import pytest

from shards.io.store import Store
from shards.sources._tables import (
    SourceError,
    audio_names,
    by_stem,
    check_options,
    flag,
    read_table,
    split_labels,
    stem,
)

SAME = [
    {"filename": "a.wav", "event_labels": "Hund,Tür"},
    {"filename": "b.wav", "event_labels": ""},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "filename\tevent_labels\na.wav\tHund,Tür\nb.wav\t\n"),
        ("t.tsv", "\ufefffilename\tevent_labels\r\na.wav\tHund,Tür\r\n\r\nb.wav\r\n"),
        ("t.csv", 'filename,event_labels\na.wav,"Hund,Tür"\nb.wav,\n'),
        (
            "t.jsonl",
            '{"filename": "a.wav", "event_labels": ["Hund", "Tür"]}\n\n'
            '{"filename": "b.wav", "event_labels": null}\n',
        ),
    ],
)
def test_three_formats_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read_table(Store.local(tmp_path), name, ("filename",)) == SAME


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("t.tsv", b"file\tx\na\tb\n", "row 1: got the columns file, x; expected also filename"),
        ("t.csv", b"filename,labels\na.wav,Dog,Cat\n", "row 2: got 3 cells under 2 columns"),
        ("t.tsv", b"", "empty table"),
        ("t.tsv", b"filename\n\xff.wav\n", "not UTF-8"),
        ("t.jsonl", b'{"filename": "a"}\n{"filename"', "line 2: no JSON"),
        ("t.jsonl", b"[1]\n", "line 1: got list; expected one object"),
        ("t.jsonl", b'{"filename": {"a": 1}}\n', "nested value"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError) as caught:
        read_table(Store.local(tmp_path), name, ("filename",))
    assert reason in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stems_keep_other_dots() -> None:
    assert stem("a/Yabc_460.000_470.000.wav") == "a/Yabc_460.000_470.000"
    assert stem("Yabc_460.000_470.000") == "Yabc_460.000_470.000"
    assert by_stem(["a.wav", "b.FLAC"]) == {"a": "a.wav", "b": "b.FLAC"}
    with pytest.raises(SourceError, match=r"^a\.flac and a\.wav; c\.mp3 and c\.ogg: names"):
        by_stem(["a.flac", "a.wav", "b.wav", "c.mp3", "c.ogg"])


def test_labels() -> None:
    assert split_labels(" Dog, Cat ,Dog,") == ("Dog", "Cat")
    assert split_labels("") == ()


def test_audio_names_leave_hidden_files(tmp_path: Path) -> None:
    for name in ("b.WAV", "a.ogg", "._a.ogg", ".cache/c.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert audio_names(Store.local(tmp_path)) == ["a.ogg", "b.WAV"]
    with pytest.raises(SourceError, match="got no audio files"):
        audio_names(Store.local(tmp_path / "nowhere"))


def test_options() -> None:
    assert flag({"esc10": "True"}, "esc10")
    assert not flag({}, "esc10")
    with pytest.raises(SourceError, match="got 'maybe'; expected true or false"):
        flag({"esc10": "maybe"}, "esc10")
    with pytest.raises(SourceError, match=r"unknown option 'ecs10'.*did you mean 'esc10'"):
        check_options({"ecs10": "true"}, ("esc10",), "esc50")
