"""Tars of strangers become an index: what is audio, what are labels, and what is refused."""

import hashlib
from pathlib import Path

import pytest
import webdataset
from foreign_cases import sound, write_tar

from shards.audio.decoding import AudioError
from shards.clip import ClipError, Event
from shards.editing.foreign import index_shard
from shards.editing.foreign_rules import ForeignError, ForeignSettings
from shards.editing.foreign_samples import split_name
from shards.packing.tar_scan import TarError
from shards.packing.writer import WrittenShard


def index(path: Path, **settings: object) -> WrittenShard:
    with path.open("rb") as file:
        return index_shard(file, "x.tar", "shards/x.tar", ForeignSettings(**settings))


def test_what_the_webdataset_library_writes(tmp_path: Path) -> None:
    """Every clip is there once, with its bytes' place, checksum, length and labels."""
    forms = ("flac", "wav", "ogg", "mp3")
    audio = [sound(n, forms[n % 4].upper()) for n in range(8)]
    path = tmp_path / "x.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for n, data in enumerate(audio):
            labels = {"labels": ["dog", "cat"][: n % 3], "snr_db": n}
            writer.write({"__key__": f"a/{n}", forms[n % 4]: data, "json": labels, "txt": "woof"})
    shard = index(path)
    content = path.read_bytes()
    assert (shard.size, shard.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [row.source_id for row in shard.rows] == [f"a/{n}" for n in range(8)]
    for n, row in enumerate(shard.rows):
        assert content[row.offset : row.offset + row.size] == audio[n]
        assert row.checksum == hashlib.sha256(audio[n]).hexdigest()
        assert (row.codec, row.num_samples, row.sample_rate_hz) == (forms[n % 4], 4000, 8000)
        assert (row.weak, row.subset) == (("dog", "cat")[: n % 3], "weak")
        assert row.meta == {"snr_db": n, "text": "woof"}
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [row.source_id for row in shard.rows]


@pytest.mark.parametrize(
    ("members", "settings", "weak", "subset"),
    [
        ({}, {}, None, "unlabeled"),
        ({"json": {"label": "dog"}}, {}, ("dog",), "weak"),
        ({"json": {"labels": []}}, {}, (), "weak"),
        ({"json": {"tags": ["a", "b", "a"], "split": "test"}}, {}, ("a", "b"), "test"),
        ({"json": {"classes": [1, 0]}}, {"classes": ("cat", "dog")}, ("dog", "cat"), "weak"),
        ({"json": {"kind": "owl"}}, {"labels": "json:kind"}, ("owl",), "weak"),
        ({"json": {"label": "dog"}}, {"labels": "none"}, None, "unlabeled"),
        ({"json": {"label": "dog"}, "cls": "1"}, {"labels": "cls"}, ("1",), "weak"),
        ({"cls": "1\n"}, {"classes": ("cat", "dog")}, ("dog",), "weak"),
        ({"cls": "dog"}, {"subset": "validation"}, ("dog",), "validation"),
        ({"txt": "dog, cat"}, {"labels": "txt"}, ("dog", "cat"), "weak"),
    ],
)
def test_labels_by_a_small_rule(
    tmp_path: Path, members: dict, settings: dict, weak: tuple | None, subset: str
) -> None:
    files = [("k.flac", sound()), *((f"k.{name}", value) for name, value in members.items())]
    [row] = index(write_tar(tmp_path / "x.tar", files), **settings).rows
    assert (row.weak, row.subset) == (weak, subset)


def test_strong_labels(tmp_path: Path) -> None:
    events = [{"start": 0.2, "end": 0.4, "label": "cat"}, {"onset": 0, "offset": 0.1, "label": 1}]
    files = [
        ("k.json", {"events": events, "recording": "r", "fold": 2}),
        ("k.wav", sound(0, "WAV")),
    ]
    [row] = index(write_tar(tmp_path / "x.tar", files), classes=("cat", "dog")).rows
    assert row.events == (Event(0.0, 0.1, "dog"), Event(0.2, 0.4, "cat"))
    assert (row.subset, row.recording, row.fold, row.meta) == ("strong", "r", 2, {})


def test_what_is_left_out_is_listed(tmp_path: Path) -> None:
    files = [
        ("good.flac", sound()),
        ("only.txt", "no audio"),
        ("empty.flac", b""),
        ("short.wav", sound(0, "WAV")[:-300]),
        (".hidden.flac", sound(1)),
        ("../up.flac", sound(2)),
        ("late.json", {"events": [{"onset": 9, "offset": 10, "label": "x"}]}),
        ("late.flac", sound(3)),
        ("bad.json", b"{"),
        ("bad.flac", sound(4)),
        ("good.png", b"a picture is none of our business"),
    ]
    shard = index(write_tar(tmp_path / "x.tar", files), on_error="skip")
    assert [row.source_id for row in shard.rows] == ["good"]
    reasons = {skip.source_id: skip.reason for skip in shard.skipped}
    assert set(reasons) == {"only", "empty", "short", ".hidden.flac", "../up.flac", "late", "bad"}
    assert "0 bytes" in reasons["empty"]
    assert reasons["../up.flac"] == "its name leads out of the tar"


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ([("a.flac", b"")], AudioError, r"x\.tar/a\.flac: got an empty file"),
        ([("a.flac", sound()), ("a.flac", sound())], ForeignError, r"'a\.flac' comes twice"),
        ([("a.flac", sound()), ("a.wav", sound())], ForeignError, "several audio members.*--audio"),
        ([("a_4.5.flac", sound()), ("a_4.6.flac", sound())], ForeignError, "--keys last_dot"),
        ([("a.flac", sound()), ("a.cls", "2")], ForeignError, "got class 2; expected 0 to 1"),
        ([("a.flac", sound()), ("a.cls", "god")], ClipError, "'god'; expected one of the class"),
        ([("a.flac", sound()), ("a.json", {"label": 1.5})], ForeignError, "got the label 1.5"),
        ([("a.flac", sound()), ("a.txt", b"\xff")], ForeignError, "not UTF-8"),
    ],
)
def test_what_is_refused(tmp_path: Path, files: list, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        index(write_tar(tmp_path / "x.tar", files), classes=("cat", "dog"))


def test_keys_with_dots_and_one_of_several_audio_members(tmp_path: Path) -> None:
    dotted = [("Yä_4.5.flac", sound()), ("Yä_4.5.json", {"label": "a"}), ("Yä_4.6.flac", sound(1))]
    rows = index(write_tar(tmp_path / "x.tar", dotted), keys="last_dot").rows
    assert [(row.source_id, row.weak) for row in rows] == [("Yä_4.5", ("a",)), ("Yä_4.6", None)]
    assert len({row.key for row in rows}) == 2
    assert all("." not in row.key and row.key.isascii() for row in rows)
    stereo = [("a.left.flac", sound()), ("a.right.flac", sound(1))]
    [row] = index(write_tar(tmp_path / "y.tar", stereo), audio="right.flac").rows
    assert row.checksum == hashlib.sha256(sound(1)).hexdigest()


def test_a_truncated_tar_is_an_error_or_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.flac", sound()), ("b.flac", sound(1))])
    path.write_bytes(path.read_bytes()[:-12000])
    with pytest.raises(TarError, match="truncated"):
        index(path)
    told: list[TarError] = []
    with path.open("rb") as file:
        settings = ForeignSettings(on_error="skip")
        shard = index_shard(file, "x.tar", "x.tar", settings, told.append)
    assert len(told) == 1
    assert "a" in {row.source_id for row in shard.rows}


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("a/b.c/d.e.flac", "first_dot", ("a/b.c/d", "e.flac")),
        ("a/b.c/d.e.FLAC", "last_dot", ("a/b.c/d.e", "flac")),
        ("./a.wav", "first_dot", ("a", "wav")),
        ("././b//a.wav", "first_dot", ("b/a", "wav")),
        ("Vo\u0308gel.wav", "first_dot", ("Vögel", "wav")),
        ("noext", "first_dot", ("", "")),
    ],
)
def test_names(name: str, keys: str, expected: tuple[str, str]) -> None:
    assert split_name(name, keys) == expected
