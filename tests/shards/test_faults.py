"""The list of faults of local files: each is an error or survived, and no clip is lost unseen.

After each fault, reading every clip of the index gives its bytes or an error that names it; and
`verify` finds whatever is not as it was packed. So the multiset of keys and checksums that a
reader gets is that of the index, or the reader is told.
"""

import hashlib
import io
import os
import resource
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_cases import sound, write_tar
from packing import files, noise_clips, pack, write_noise

from shards.clip import Clip
from shards.dataset import Dataset, ReadError
from shards.editing.foreign import ForeignSettings, index_shard
from shards.editing.foreign_rules import ForeignError
from shards.io.store import Store
from shards.manifest import DatasetError, write_dataset
from shards.repair.verification import verify


def tar_path(dataset: Dataset, number: int = 0) -> Path:
    return Path(dataset.store.path(dataset.manifest.shards[number].name))


def flip(dataset: Dataset, place: int) -> None:
    path = tar_path(dataset)
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def cut(dataset: Dataset, left: float) -> None:
    path = tar_path(dataset)
    path.write_bytes(path.read_bytes()[: round(left * path.stat().st_size)])


def rewrite(dataset: Dataset, change: Callable[[tarfile.TarInfo, bytes], list]) -> None:
    """Write the first tar anew, each member as `change` gives it."""
    path, buffer = tar_path(dataset), io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for member in old:
            data = old.extractfile(member).read()
            for header, content in change(member, data):
                header.size = len(content)
                new.addfile(header, io.BytesIO(content))
    path.write_bytes(buffer.getvalue())


def renamed(member: tarfile.TarInfo, data: bytes) -> list:
    member.name = f"other-{member.name}"
    return [(member, data)]


def emptied(member: tarfile.TarInfo, data: bytes) -> list:
    return [(member, b"" if member.name.endswith(".flac") else data)]


def doubled(member: tarfile.TarInfo, data: bytes) -> list:
    return [(member, data), (member, data)]


def with_links(member: tarfile.TarInfo, data: bytes) -> list:
    link, up = tarfile.TarInfo("link.flac"), tarfile.TarInfo("../../up.flac")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return [(member, data), (link, b""), (up, b"")]


def swap(dataset: Dataset) -> None:
    tar_path(dataset, 0).write_bytes(tar_path(dataset, 1).read_bytes())


def fold(dataset: Dataset) -> None:
    """A folder where the tar was."""
    tar_path(dataset).unlink()
    tar_path(dataset).mkdir()


FAULTS: dict[str, Callable[[Dataset], object]] = {
    "a flipped byte in a header": lambda d: flip(d, 20),
    "a flipped byte in audio": lambda d: flip(d, d.rows[0].offset + 600),
    "a flipped byte in a description": lambda d: flip(d, -1 - 10240 // 2),
    "a truncated tar, half": lambda d: cut(d, 0.5),
    "a truncated tar, the last bytes": lambda d: cut(d, 0.99),
    "an empty tar": lambda d: cut(d, 0),
    "renamed members": lambda d: rewrite(d, renamed),
    "members of 0 bytes": lambda d: rewrite(d, emptied),
    "doubled members": lambda d: rewrite(d, doubled),
    "links and names with ..": lambda d: rewrite(d, with_links),
    "a shard replaced by another": swap,
    "a shard that is gone": lambda d: tar_path(d).unlink(),
    "a folder where a shard was": fold,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_clip_is_lost_or_doubled_unseen(tmp_path: Path, fault: str) -> None:
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "out")
    promised = Counter((row.key, row.checksum) for row in dataset.rows)
    FAULTS[fault](dataset)
    got: Counter[tuple[str, str]] = Counter()
    opened = Dataset.open(dataset.store)
    for row in opened.rows:
        try:
            got[row.key, hashlib.sha256(opened.read(row)).hexdigest()] += 1
        except ReadError as error:
            assert row.key in str(error) and row.shard in str(error)
            got[row.key, row.checksum] += 1  # told
    assert got == promised
    assert not verify(dataset.store).ok
    others = {shard.name for shard in dataset.manifest.shards[1:]}
    for problem in verify(dataset.store).problems:
        assert not any(problem.where.startswith(name) for name in others), problem
        assert "\n" not in str(problem)


KEYS = ["a.b.c.flac", "Yabc_460.000_470.000.flac", "Vögel/Lärche 1.flac", "鳥.flac", "-dash.flac"]


def test_keys_with_dots_and_unicode_survive(tmp_path: Path) -> None:
    for number, name in enumerate(KEYS):
        write_noise(tmp_path / "in" / name, seed=number)
    clips = [Clip(source_id=name, audio=name, subset="unlabeled") for name in KEYS]
    dataset, _ = pack(tmp_path / "in", clips, tmp_path / "out")
    assert verify(dataset.store).problems == ()
    originals = files(tmp_path / "in")
    assert {row.source_id: dataset.read(row) for row in dataset.rows} == originals


def test_keys_that_two_shards_share(tmp_path: Path) -> None:
    shards = []
    for name in ("x", "y"):
        path = write_tar(tmp_path / f"{name}.tar", [("same.flac", sound())])
        with path.open("rb") as file:
            shards.append(index_shard(file, name, f"shards/{name}.tar", ForeignSettings()))
    rows = [row for shard in shards for row in shard.rows]
    store = Store.local(tmp_path / "out")
    with pytest.raises(DatasetError, match=r"'same' 2 times \(in shards/x\.tar, shards/y\.tar\)"):
        entries = [shard.entry for shard in shards]
        write_dataset(store, rows, name="n", licence="l", classes=None, shards=entries)
    assert store.names() == []


def test_doubled_members_of_foreign_tars_are_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("k.flac", sound()), ("k.flac", sound(1))])
    with path.open("rb") as file, pytest.raises(ForeignError, match=r"x\.tar.*'k\.flac' comes"):
        index_shard(file, "x.tar", "shards/x.tar", ForeignSettings())


def test_a_disk_that_fills_leaves_the_old_dataset(tmp_path: Path) -> None:
    """A limit of bytes per file stands for a full disk: writes fail half-way."""
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "out")
    before = files(tmp_path / "out")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))  # less than a manifest
    try:
        with pytest.raises(OSError, match=r"File too large.*free some space"):
            write_dataset(
                dataset.store,
                dataset.rows,
                name="new",
                licence="l",
                classes=["noise"],
                shards=dataset.manifest.shards,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path / "out") == before
    assert verify(dataset.store).ok


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(OSError, match=r"Permission denied.*check who may write there"):
        Store.local(folder).write("dataset.json", b"{}")
