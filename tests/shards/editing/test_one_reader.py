"""Foreign tars mean the same to `reindex foreign` and to `pack --source webdataset`."""

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from foreign_cases import sound, write_tar
from foreign_readers import both, by_pack, by_reindex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.editing.foreign import index_shard
from shards.editing.foreign_rules import ForeignError, ForeignSettings
from shards.io.store import Store
from shards.sources._tables import SourceError
from shards.sources.webdataset import webdataset

SOUND, OTHER = sound(0, "WAV"), sound(1, "WAV", 0.25)


@pytest.mark.parametrize(
    ("members", "key"),
    [
        ([("a.wav", SOUND), ("a.WAV", OTHER)], "a"),
        ([("a.wav", SOUND), ("./a.wav", OTHER)], "a"),
        ([("b/a.wav", SOUND), ("b//a.wav", OTHER)], "b/a"),
        ([("a.wav", SOUND), ("a.wav", SOUND)], "a"),
        ([("a.wav", SOUND), ("a.json", {"label": "x"}), ("a.JSON", {"label": "y"})], "a"),
        ([("a.wav", SOUND), ("a.cls", "1"), ("./a.CLS", "2")], "a"),
        ([("\u00f6.wav", SOUND), ("o\u0308.wav", OTHER)], "\u00f6"),
    ],
)
def test_a_doubled_member_is_refused(tmp_path: Path, members: list, key: str) -> None:
    whole = ("whole.wav", SOUND)
    read = both(tmp_path, [*members, whole])
    assert list(read.clips) == ["whole"]
    assert "doubled" in read.left_out[key] or "comes twice" in read.left_out[key]
    with (
        (tmp_path / "tars/x.tar").open("rb") as file,
        pytest.raises(ForeignError, match="expected"),
    ):
        index_shard(file, "x.tar", "x.tar", ForeignSettings())


DOTTED = "Yabc_460.000_470.000"


def test_a_key_with_dots_loses_no_labels(tmp_path: Path) -> None:
    """Cut at the first dot, the labels would not be found: refused, with the way out."""
    members = [(f"{DOTTED}.wav", SOUND), (f"{DOTTED}.json", {"labels": ["Dog"]})]
    read = both(tmp_path, members)
    assert read.clips == {}
    assert "--keys last_dot" in read.left_out["Yabc_460"]
    assert "--options keys last_dot" in read.left_out["Yabc_460"]
    read = both(tmp_path, members, keys="last_dot")
    assert read.clips == {DOTTED: ("weak", ("Dog",), None, None, None, {})}
    read = both(tmp_path, members, audio="000_470.000.wav", labels="none")
    assert list(read.clips) == ["Yabc_460"]
    assert read.unused == {"000_470.000.json": 1}


@pytest.mark.parametrize(
    "beside",
    [("json", b'{"caption": NaN}'), ("json", b"{"), ("txt", "caf\u00e9".encode("latin-1"))],
)
def test_texts_that_nobody_asked_for_cost_no_clip(tmp_path: Path, beside: tuple) -> None:
    name, data = beside
    members = [("a.wav", SOUND), (f"a.{name}", data), ("b.wav", SOUND), ("b.cls", "0")]
    read = both(tmp_path, members, labels="none")
    assert read.clips == dict.fromkeys("ab", ("unlabeled", None, None, None, None, {}))
    assert read.unused == {name: 1, "cls": 1}
    assert "--labels none" in by_pack(tmp_path / "tars/x.tar").left_out.get(
        "a", "--labels none"
    )  # NaN is found where the clip is checked


@pytest.mark.parametrize(
    ("members", "rules", "clip"),
    [
        ({"json": {"labels": ["Dog"]}}, {}, ("weak", ("Dog",), None, None, None, {})),
        ({"json": {"tag": "Dog", "n": 1}}, {}, ("weak", ("Dog",), None, None, None, {"n": 1})),
        ({"json": {"a": {"b": [1]}}}, {"labels": "json:a.b"}, None),
        ({"json": {"split": "test", "fold": "3", "recording": 5}}, {}, None),
        ({"json": {"label": "Dog"}, "cls": "4"}, {}, None),
        ({"json": {"label": "Dog"}, "cls": "4"}, {"labels": "cls"}, None),
        ({"tsv": "onset\toffset\tlabel\n0\t0.1\tx\n"}, {"events": "tsv"}, None),
        ({"json": {"id": "other"}}, {"id": "json:id"}, None),
        ({"txt": "Dog, Cat\nOwl"}, {"labels": "txt"}, None),
        ({"txt": "a caption"}, {}, ("unlabeled", None, None, None, None, {"text": "a caption"})),
    ],
)
def test_the_same_labels(tmp_path: Path, members: dict, rules: dict, clip: tuple | None) -> None:
    files = [("k.wav", SOUND), *((f"k.{name}", value) for name, value in members.items())]
    [found] = both(tmp_path, files, **rules).clips.values()
    assert clip is None or found == clip


NAMES = [f"{key}.{kind}" for key in ("a", "b.c", "./a", "d/a") for kind in ("wav", "WAV", "json")]
NAMES += ["a.cls", "b.cls", "b.wav", "e.png", "README", ".hidden.wav", "d/a.txt", "a.x.json"]
CONTENT: dict[str, list[Any]] = {
    "wav": [SOUND, OTHER],
    "json": [b"{", {"labels": ["x"]}, {"split": "test", "id": "z"}, {"events": []}, [1]],
    "cls": ["0", "dog", ""],
    "txt": ["caption, of it", b"\xe9"],
}
RULES: list[dict[str, str]] = [
    {},
    {"keys": "last_dot"},
    {"labels": "none"},
    {"labels": "none", "audio": "wav"},
    {"audio": "c.wav,wav"},
    {"id": "shard"},
    {"subset": "all"},
]


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(NAMES), max_size=8), st.sampled_from(RULES), st.data())
def test_any_tar_means_the_same(
    tmp_path: Path, names: list[str], rules: dict[str, str], choose: st.DataObject
) -> None:
    members = []
    for name in names:
        kinds = CONTENT.get(name.rpartition(".")[2].lower(), [b"x"])
        members.append((name, choose.draw(st.sampled_from(kinds))))
    try:
        read = both(tmp_path, members, **rules)
    except SourceError as error:
        assert "got no audio" in str(error)
        assert by_reindex(tmp_path / "tars/x.tar", **rules).clips == {}
        return
    # All is a clip, told as left out, or counted.
    assert len(read.clips) + len(read.left_out) + sum(read.unused.values()) > 0


def test_keys_that_shards_share(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        write_tar(tmp_path / name, [("1.wav", SOUND)])
    with pytest.raises(SourceError, match=r"doubled, in a\.tar.* --id shard .*--options id shard"):
        webdataset(Store.local(tmp_path), {})
    assert [
        clip.source_id for clip in webdataset(Store.local(tmp_path), {"id": "shard"}).clips
    ] == [
        "a/1",
        "b/1",
    ]
    with (tmp_path / "a.tar").open("rb") as file:
        [row] = index_shard(file, "a.tar", "shards/a.tar", ForeignSettings(id="shard")).rows
    assert row.source_id == "a/1"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["end", "inside", "labels"])
def test_a_tar_without_an_end(tmp_path: Path, where: str, packed: bool) -> None:
    """What is whole is taken; the rest is listed, with the sample whose labels are gone."""
    members = [(f"{n}.{kind}", v) for n in range(3) for kind, v in (("wav", SOUND), ("cls", "1"))]
    data = write_tar(tmp_path / "x.tar", members).read_bytes()
    (tmp_path / "x.tar").unlink()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        last = tar.getmembers()[-1]
    cuts = {"end": last.offset + 1024, "inside": last.offset - 700, "labels": last.offset}
    data = data[: cuts[where]]
    path = tmp_path / ("x.tar.gz" if packed else "x.tar")
    path.write_bytes(gzip.compress(data) if packed else data)
    plain = tmp_path / "plain.bin"
    plain.write_bytes(data)
    one, other = by_reindex(plain), by_pack(path)
    kept = ["0", "1", "2"] if where == "end" else ["0", "1"]
    assert list(one.clips) == list(other.clips) == kept
    for read in (one, other):
        rest = [why for why in read.left_out.values() if why.startswith("the rest of the tar: ")]
        assert len(rest) == 1 and "truncated" in rest[0]
        assert ("2" in read.left_out) == (where != "end")
    with plain.open("rb") as file, pytest.raises(ValueError, match="--on-error skip"):
        index_shard(file, "x.tar", "x.tar", ForeignSettings())


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    members = [
        (f"{n:02d}.{kind}", v) for n in range(30) for kind, v in (("wav", SOUND), ("json", b"{"))
    ]
    path = write_tar(tmp_path / "x.tar", members)
    with path.open("rb") as file, pytest.raises(ForeignError, match="30 faults: ") as caught:
        index_shard(file, "x.tar", "x.tar", ForeignSettings())
    assert "x.tar/19: " in str(caught.value) and "and 10 more" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "program"),
    [
        ("x.tar.zst", b"\x28\xb5\x2f\xfd" + b"x" * 600, "zstd"),
        ("x.tar.xz", b"\xfd7zXZ\x00" + b"x" * 600, "xz"),
        ("x.tbz2", b"BZh91AY&SY" + b"x" * 600, "bzip2"),
        ("X.TAR", b"\x28\xb5\x2f\xfd" + b"x" * 600, "zstd"),
    ],
)
def test_other_compression_is_told_by_its_name(
    tmp_path: Path, name: str, data: bytes, program: str
) -> None:
    (tmp_path / name).write_bytes(data)
    [refused] = webdataset(Store.local(tmp_path), {}).unusable
    assert f"compressed with {program}, which has no byte ranges" in refused.reason
    with pytest.raises(ValueError, match=f"compressed with {program}"):
        index_shard(io.BytesIO(data), "x.tar", "x.tar", ForeignSettings(on_error="skip"))


def sparse_header(name: str, regions: int, stored: bytes) -> bytes:
    """An old GNU sparse member whose map needs blocks of its own (four regions fit the header)."""
    pairs = [(n * 4096, 512) for n in range(regions)]
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(stored)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    for place, (offset, size) in enumerate(pairs[:4]):
        header[386 + 24 * place : 410 + 24 * place] = b"%011o\0%011o\0" % (offset, size)
    header[482] = len(pairs) > 4
    header[483:495] = b"%011o\0" % (regions * 4096)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    rest, more = pairs[4:], b""
    while rest:
        block = b"".join(b"%011o\0%011o\0" % pair for pair in rest[:21]).ljust(504, b"\0")
        rest = rest[21:]
        more += block + bytes([bool(rest)]) + bytes(7)
    return bytes(header) + more + stored


@pytest.mark.parametrize("regions", [1, 4, 5, 25, 26, 60])
def test_a_sparse_file_of_many_regions_is_left_out(tmp_path: Path, regions: int) -> None:
    stored = b"s" * 512 * regions
    whole = write_tar(tmp_path / "tars/x.tar", [("b.wav", SOUND), ("b.cls", "1")])
    data = sparse_header("a.wav", regions, stored) + whole.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["a.wav", "b.wav", "b.cls"]
    whole.write_bytes(data)
    one, other = by_reindex(whole), by_pack(whole)
    assert list(one.clips) == list(other.clips) == ["b"]
    assert one.left_out == {"a.wav": "a sparse file"}
    assert "1 members left out: a sparse file" in webdataset(Store.local(whole.parent), {}).notes


def test_a_rule_that_finds_nothing(tmp_path: Path) -> None:
    write_tar(tmp_path / "x.tar", [("1.wav", SOUND)])
    for rule in ({"labels": "cls"}, {"events": "json:e"}):
        with pytest.raises(SourceError, match="finds nothing in 1 clips"):
            webdataset(Store.local(tmp_path), rule)


@pytest.mark.parametrize(
    ("names", "keys", "is_advised"),
    [
        (("a.x.wav", "a.X.wav"), "first_dot", True),
        (("a.wav", "a.WAV"), "first_dot", False),
        (("d/c.wav", "./d/c.wav"), "first_dot", False),
        (("a.wav", "a.wav"), "first_dot", False),
        (("a.wav", "a.WAV"), "last_dot", False),
        (("a.wav", "a.flac"), "first_dot", False),
        (("a.wav", "a.flac"), "last_dot", False),
        (("a_4.5.wav", "a_4.6.wav"), "first_dot", True),
    ],
)
def test_cutting_at_the_last_dot_is_advised_where_it_helps(
    tmp_path: Path, names: tuple[str, str], keys: str, is_advised: bool
) -> None:
    members = [(names[0], SOUND), (names[1], OTHER), ("whole.wav", SOUND)]
    read = both(tmp_path, members, keys=keys)
    (reason,) = read.left_out.values()
    assert ("last_dot" in reason) == is_advised
    assert "remove" not in reason
    if is_advised:
        assert len(both(tmp_path, members, keys="last_dot").left_out) < 2
