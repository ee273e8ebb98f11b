"""Foreign shards as a source: rules, keys, what is left out, and packing from them."""

import gzip
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from packing import pack, write_noise
from s3_server import s3_server

from cluster.storage.filesystems import filesystem
from shards.clip import Event
from shards.io.store import Store
from shards.io.tar_members import MemberStore
from shards.packing.plan import plan_shards, survey
from shards.packing.writer import write_shard
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing
from shards.sources.webdataset import expand_shards


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["webdataset"](Store.local(root), options)


def tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    packed = path.name.endswith("gz")
    path.write_bytes(gzip.compress(buffer.getvalue()) if packed else buffer.getvalue())


def flac(tmp_path: Path, seed: int) -> bytes:
    write_noise(tmp_path / "one.flac", seed=seed)
    data = (tmp_path / "one.flac").read_bytes()
    (tmp_path / "one.flac").unlink()
    return data


def shard(tmp_path: Path, name: str, *samples: dict[str, Any]) -> list[bytes]:
    """Samples of `key`, and members by extension; audio is noise and is returned."""
    members, audio = [], []
    for number, sample in enumerate(samples):
        audio.append(flac(tmp_path, number))
        members.append((f"{sample['key']}.flac", audio[-1]))
        for kind, value in sample.items():
            if kind != "key":
                data = value if isinstance(value, str) else json.dumps(value)
                members.append((f"{sample['key']}.{kind}", data.encode()))
    tar(tmp_path / name, members)
    return audio


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
def test_events_of_json_and_bytes_of_audio(tmp_path: Path, name: str) -> None:
    events = [{"start": 0.1, "end": 0.2, "label": "dog"}, {"start": 0, "end": 0.1, "label": "cat"}]
    audio = shard(
        tmp_path, name, {"key": "x/1", "json": {"ev": {"list": events}}}, {"key": "2", "json": {}}
    )
    found = listing(tmp_path, audio="flac", events="json:ev.list")
    first, second = found.clips
    assert (first.source_id, first.subset) == ("x/1", "strong")
    assert first.events == (Event(0, 0.1, "cat"), Event(0.1, 0.2, "dog"))
    assert (second.source_id, second.subset, second.events) == ("2", "unlabeled", None)
    assert found.classes == ("cat", "dog")
    assert found.unlabelled == (second.audio,)
    store = MemberStore(Store.local(tmp_path))
    assert [store.read(clip.audio) for clip in (second, first)] == [audio[1], audio[0]]
    assert store.read(first.audio, 4, 10) == audio[0][4:14]
    assert store.size(first.audio) == len(audio[0])
    with store.open(second.audio) as file:
        assert file.size() == len(audio[1])
        file.seek(10)
        assert file.read(5) == audio[1][10:15]
        file.seek(-3, io.SEEK_END)
        assert file.read(100) == audio[1][-3:]


@pytest.mark.parametrize(
    ("member", "rule", "labels"),
    [
        ({"cls": "1"}, {"labels": "cls", "classes": "cat,dog"}, ("dog",)),
        ({"txt": "dog, cat\nowl\n"}, {"labels": "txt"}, ("dog", "cat", "owl")),
        ({"json": {"tag": ["b", "a, c"]}}, {"labels": "json:tag"}, ("b", "a, c")),
        ({"json": {"n": [0, 1]}}, {"labels": "json:n", "classes": "cat,dog"}, ("cat", "dog")),
        ({"json": {"n": 7}}, {"labels": "json:n"}, ("7",)),
        ({"json": {"labels": "Male speech, man speaking"}}, {}, ("Male speech, man speaking",)),
        ({"cls": "Male speech, man speaking"}, {}, ("Male speech, man speaking",)),
    ],
)
def test_weak_labels(
    tmp_path: Path, member: dict[str, Any], rule: dict[str, str], labels: tuple[str, ...]
) -> None:
    shard(tmp_path, "a.tar", {"key": "1", **member})
    [clip] = listing(tmp_path, **rule).clips
    assert (clip.subset, clip.weak) == ("weak", labels)


def test_events_of_a_table_and_other_rules(tmp_path: Path) -> None:
    table = "onset\toffset\tevent_label\n0.1\t0.2\tdog\n"
    about = {"split": "validation", "from": {"id": 77}, "fold": 3}
    shard(tmp_path, "a.tar", {"key": "1", "tsv": table, "json": about})
    [clip] = listing(tmp_path, events="tsv", subset="json:split", recording="json:from.id").clips
    assert (clip.subset, clip.recording, clip.fold) == ("validation", "77", 3)
    assert clip.events == (Event(0.1, 0.2, "dog"),)
    assert listing(tmp_path, subset="test").clips[0].subset == "test"


def test_names_with_dots(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [(f"Y_{s}.000_{s}.500.flac", flac(tmp_path, s)) for s in (0, 1)])
    found = listing(tmp_path)
    assert found.clips == ()
    assert "the key 'Y_0' and the suffix '000_0.500.flac'" in found.unusable[0].reason
    assert "--options keys last_dot" in found.unusable[0].reason
    found = listing(tmp_path, keys="last_dot")
    assert [clip.source_id for clip in found.clips] == ["Y_0.000_0.500", "Y_1.000_1.500"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    audio = flac(tmp_path, 0)
    tar(
        tmp_path / "a.tar",
        [
            ("1.flac", audio),
            ("1.npy", b"x"),
            ("1.cls", b"0"),
            ("1.json", b'{"label": "dog"}'),
            ("5.flac", audio),
            ("5.wav", b"second"),
            ("2.json", b"{}"),
            ("../3.flac", audio),
            ("README", b"x"),
        ],
    )
    found = listing(tmp_path)
    assert [clip.source_id for clip in found.clips] == ["1"]
    assert found.missing == ("a.tar!2",)
    assert [(id_, "several audio members" in why) for id_, why in found.unusable] == [
        ("a.tar!5", True)
    ]
    assert found.notes == (
        "1 of 2 samples in 1 shards have audio",
        "1 members left out: its name has no key before a dot",
        "1 members left out: its name leads out of the tar",
        "1 members .cls not used",
        "1 members .npy not used",
    )
    found = listing(tmp_path, audio="wav,flac")
    assert ["1.flac" in found.clips[0].audio, "5.wav" in found.clips[1].audio] == [True, True]
    assert "1 members .flac not used" in found.notes


def test_doubled_keys(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [("1.flac", b"x"), ("1.FLAC", b"y")])
    [doubled] = listing(tmp_path).unusable
    assert "got 1.flac and 1.FLAC, both .flac of the key '1'" in doubled.reason
    for name in ("a.tar", "b.tar"):
        shard(tmp_path, name, {"key": "1"})
    with pytest.raises(SourceError, match=r"'1' is doubled, in a\.tar!1\.flac.*id shard"):
        listing(tmp_path)
    found = listing(tmp_path, id="shard")
    assert [clip.source_id for clip in found.clips] == ["a/1", "b/1"]


def test_shard_specs(tmp_path: Path) -> None:
    tars = [f"t/{number:02d}.tar" for number in range(12)] + ["v.tar"]
    store = Store.local(tmp_path)
    assert expand_shards("t/{08..10}.tar,v*.tar", tars, store) == [*tars[8:11], "v.tar"]
    assert expand_shards("*", tars, store) == tars
    with pytest.raises(SourceError, match=r"t/12\.tar: no such shard; expected one of 13"):
        expand_shards("t/{11..12}.tar", tars, store)
    assert expand_shards("t/{03..01}.tar, {v,t/00}.tar", tars, store) == [*tars[:4], "v.tar"]
    with pytest.raises(SourceError, match=r"option shards: .*: got \{3\}; expected a list"):
        expand_shards("t/{3}.tar", tars, store)


@pytest.mark.parametrize(
    ("sample", "options", "reason"),
    [
        ({"json": "{"}, {}, r"a\.tar/1: its JSON cannot be read .* --options labels none"),
        ({"json": {"e": [{"onset": 0}]}}, {"events": "json:e"}, r"got the event \{.onset.: 0\}"),
        ({"json": {"e": 5}}, {"events": "json:e"}, "got events that are no list of objects"),
        ({"json": {"e": {}}}, {"labels": "json:e"}, r"got the label \{\}; expected text"),
        ({"json": {"f": "one"}}, {"fold": "json:f"}, "got the fold 'one'"),
        ({"json": {"f": "one"}}, {"subset": "json:g"}, "got nothing at json:g; expected a text"),
        ({"cls": "2"}, {"labels": "cls", "classes": "a,b"}, "got class 2; expected 0 to 1"),
        ({"cls": "2"}, {"labels": "json:tag"}, "the rule labels json:tag finds nothing in 1"),
        ({"cls": "2"}, {"label": "cls"}, "unknown option 'label'.*did you mean 'labels'"),
        ({}, {"keys": "none"}, "option keys: got 'none'; expected first_dot or last_dot"),
        ({}, {"events": "json:"}, "option events: got 'json:'; expected a suffix"),
        ({}, {"audio": "wav"}, "got no audio in 1 tars, but members that end in flac"),
        ({}, {"shards": "b.tar"}, r"b\.tar: no such shard"),
    ],
)
def test_what_cannot_be_meant(
    tmp_path: Path, sample: dict[str, Any], options: dict[str, str], reason: str
) -> None:
    shard(tmp_path, "a.tar", {"key": "1", **sample})
    try:
        [message] = [skipped.reason for skipped in listing(tmp_path, **options).unusable]
    except SourceError as error:
        message = str(error)
    assert re.search(reason, message)
    assert "\n" not in message


def test_no_shards_and_damaged_ones(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="got no tars"):
        listing(tmp_path)
    shard(tmp_path, "a.tar", {"key": "1"})
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[:2000])
    [lost, rest] = listing(tmp_path).unusable[::-1]
    assert (lost.source_id, rest.source_id) == ("a.tar!1", "a.tar")
    assert "ends inside 1.flac" in lost.reason
    assert re.search(r"the rest of the tar: .*a\.tar: truncated inside 1\.flac", rest.reason)


def test_our_own_shards_come_back_the_same(tmp_path: Path) -> None:
    """Packing what was packed gives the same tars but for where the audio came from."""
    from packing import noise_clips

    clips = noise_clips(tmp_path / "audio", 6)
    first, _ = pack(tmp_path / "audio", clips, tmp_path / "first")
    found = listing(tmp_path / "first")
    store = MemberStore(Store.local(tmp_path / "first"))
    surveyed, _ = survey(store, found.clips, classes=found.classes)
    [plan] = plan_shards(surveyed, 10_000_000, 0)
    again = write_shard(store, plan, tmp_path / "again.tar")
    labels = {
        row.key: (row.checksum, row.source_id, row.subset, row.weak, row.events, row.meta)
        for row in again.rows
    }
    assert labels == {
        row.key: (row.checksum, row.source_id, row.subset, row.weak, row.events, row.meta)
        for row in first.rows
    }


def test_remote_shards_are_read_by_ranges(tmp_path: Path) -> None:
    """From a real S3 server: the header scan, and a clip by the range that its name says."""
    audio = shard(
        tmp_path / "made", "a.tar", {"key": "1", "cls": "dog"}, {"key": "2", "cls": "cat"}
    )
    with s3_server(tmp_path) as server:
        remote = Store(*filesystem(server.url("shards")))
        remote.write("a.tar", (tmp_path / "made/a.tar").read_bytes())
        remote.write("b.tgz", gzip.compress((tmp_path / "made/a.tar").read_bytes()))
        found = SOURCES["webdataset"](remote, {"labels": "cls", "id": "shard"})
        assert [clip.source_id for clip in found.clips] == ["a/1", "a/2", "b/1", "b/2"]
        members = MemberStore(remote)
        assert [members.read(clip.audio) for clip in found.clips] == [*audio, *audio]
        surveyed, _ = survey(members, found.clips, classes=found.classes)
        assert [each.size_bytes for each in surveyed[:2]] == [len(data) for data in audio]
