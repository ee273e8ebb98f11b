"""Files of no known kind and links that lead nowhere are told, never passed over."""

from pathlib import Path

from shards.io.store import Store
from shards.sources._unread import dangling_links, unread_notes


def test_kinds_are_counted() -> None:
    names = [
        "strong/a.wav", "strong.tsv", "README", "LICENSE", "notes.md", ".git/x.pack", ".DS_Store",
        "b.aup", "c.AUP", "strong/d.xyz", "strong/no_suffix", "e.M4A",
    ]  # fmt: skip
    (note,) = unread_notes(names)
    assert note.startswith("files of kinds that are not read: 4 (")
    for kind in ("1 .aup", "1 .AUP", "1 .xyz", "1 without suffix"):
        assert kind in note


def test_many_kinds_are_one_line() -> None:
    (note,) = unread_notes([f"{n}.kind{n}" for n in range(40)])
    assert note.count(".kind") == 12
    assert "28 of other kinds" in note


def test_nothing_to_tell() -> None:
    assert unread_notes(["a.flac", "x/b.mp3", "weak.csv", "c.tar"], [".tar"]) == []


def test_links(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / "real.wav").write_bytes(b"x")
    (tmp_path / "day" / "good.wav").symlink_to("../real.wav")
    (tmp_path / "day" / "gone.wav").symlink_to("../moved.wav")
    (tmp_path / "disk").symlink_to("/no/such/disk")
    (tmp_path / "round").symlink_to(tmp_path)  # ends, though it leads back
    (tmp_path / ".hidden").symlink_to("/no/such")
    found = dict(dangling_links(Store.local(tmp_path)))
    assert sorted(found) == ["day/gone.wav", "disk"]
    assert "gone.wav: a link that leads nowhere (to ../moved.wav)" in found["day/gone.wav"]


def test_hidden_recordings_are_told() -> None:
    (note,) = unread_notes(["a.wav", "day/.b.wav", ".old/c.flac", "._a.wav", ".DS_Store", ".x.txt"])
    assert note.startswith("hidden recordings, left out: 2 (.old/c.flac; day/.b.wav)")
