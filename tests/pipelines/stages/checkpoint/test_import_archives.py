"""`pmam import published`: archives from a server, unpacked safely, serve a run."""

import gzip
import hashlib
import io
import logging
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import packing
import pytest
import torch
from http_server import HttpFiles, http_files

from cluster.storage.download import FetchError
from pipelines.inference.frame_job import open_frames
from pipelines.inference.weights import weights_file
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import PROTOTYPES, STAGE, checked
from pipelines.runtime.files.urls import open_dataset, read_prototypes, store
from pipelines.stages.checkpoint.archive import unpack
from pipelines.stages.checkpoint.import_published import import_published
from pipelines.stages.settings import ImportSettings
from shards.clip import Clip, Event
from shards.errors import ShardsError

K, WIDTH, FRAMES, HOP_S = 4, 12, 13, 0.04
Entry = tuple[str, bytes | str]  # a file, or a link to a place


def table(posteriors: np.ndarray) -> bytes:
    times = np.arange(len(posteriors))[:, None] * HOP_S
    rows = np.concatenate([times, times + HOP_S, posteriors], axis=1).round(4)
    head = "\t".join(["onset", "offset", *map(str, range(posteriors.shape[1]))])
    file = io.BytesIO()
    np.savetxt(file, rows, fmt="%.4f", delimiter="\t", header=head, comments="")
    return file.getvalue()


def tar_of(entries: list[Entry], *, packed: bool = True) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz" if packed else "w") as tar:
        for name, data in entries:
            member = tarfile.TarInfo(name)
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                tar.addfile(member)
            else:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def means_file(means: torch.Tensor) -> bytes:
    file = io.BytesIO()
    torch.save(means, file)
    return file.getvalue()


MEANS = torch.randn(K, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpFiles]:
    """A server that nothing but this test knows, and a cache of its own."""
    monkeypatch.setenv("PMAM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "served").mkdir()
    weights_file.cache_clear()
    with http_files(tmp_path / "served") as running:
        yield running
    weights_file.cache_clear()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three weak clips and a strong one; one has no table."""
    clips = []
    for number, name in enumerate(("weak/a", "weak/b", "weak/c", "strong/s")):
        packing.write_noise(tmp_path / "source" / f"{name}.wav", seed=number)
        subset = name.partition("/")[0]
        weak, events = (("x",), None) if subset == "weak" else (None, (Event(0.0, 0.1, "x"),))
        audio = f"{name}.wav"
        clips.append(Clip(source_id=name, audio=audio, subset=subset, weak=weak, events=events))
    packing.pack(tmp_path / "source", clips, tmp_path / "dataset")
    return tmp_path / "dataset"


@pytest.fixture
def posteriors(server: HttpFiles) -> dict[str, np.ndarray]:
    """Archives on the server, with a table for each clip of the source but one."""
    random = np.random.default_rng(0)
    names = ("weak/a", "weak/b", "strong/s")
    found = {name: random.dirichlet(np.full(K, 0.3), FRAMES) for name in names}
    entries: list[Entry] = [(f"meta/{n}.tsv", table(p)) for n, p in found.items()]
    entries += [("meta/val/elsewhere.tsv", table(found["weak/a"])), ("meta/README", b"hello")]
    (server.folder / "meta.gz").write_bytes(tar_of(entries))
    mixture: list[Entry] = [("tokenizer/gmm_means.pt", means_file(MEANS)), ("other.pkl", b"x")]
    (server.folder / "tokenizer.gz").write_bytes(tar_of(mixture))
    return found


def imported(server: HttpFiles, dataset: Path, out: Path, **more: str) -> str:
    urls = {"labels": server.url("meta.gz"), "mixture": server.url("tokenizer.gz")} | more
    return import_published(str(dataset), str(out), ImportSettings(), **urls)


@pytest.mark.usefixtures("ray_session")
def test_one_folder_serves_as_prototypes_and_posteriors(
    server: HttpFiles,
    posteriors: dict[str, np.ndarray],
    dataset: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "published"
    with caplog.at_level(logging.WARNING, "pmam"):
        imported(server, dataset, out)
    checked((PROTOTYPES, str(out)), (STAGE, str(out)))  # as `pmam run` asks
    assert torch.equal(read_prototypes(str(out)).means_in_feature_space().float(), MEANS)
    frames = open_frames(str(out))
    by_id = {row.source_id: row.key for row in open_dataset(str(dataset)).rows}
    assert len(frames) == len(posteriors)
    for name, expected in posteriors.items():
        assert np.abs(frames.read(by_id[name]) - expected).max() <= 1 / 500
    assert not (out / "unpacked").exists() or not list((out / "unpacked").rglob("*.*"))
    # Nobody says what is right: the checksums are told, so that the next download can be held
    # to them, and the archives are fetched once.
    for name in ("meta.gz", "tokenizer.gz"):
        sha256 = hashlib.sha256((server.folder / name).read_bytes()).hexdigest()
        assert f"/{name}: its sha256 is {sha256}" in caplog.text
        assert server.whole(name) == 1


@pytest.mark.usefixtures("ray_session")
def test_labels_of_other_prototypes(
    server: HttpFiles, posteriors: dict[str, np.ndarray], dataset: Path, tmp_path: Path
) -> None:
    more: list[Entry] = [("gmm_means.pt", means_file(torch.randn(K + 1, WIDTH)))]
    (server.folder / "more.gz").write_bytes(tar_of(more))
    with pytest.raises(PipelineError, match=r"posteriors of 4 prototypes; expected those of the 5"):
        imported(server, dataset, tmp_path / "out", mixture=server.url("more.gz"))
    assert not (tmp_path / "out" / "stage.json").exists()


def test_a_checksum_and_an_answer_are_asked_for(
    server: HttpFiles, posteriors: dict[str, np.ndarray], dataset: Path, tmp_path: Path
) -> None:
    wrong = f"{server.url('meta.gz')}#sha256={'0' * 64}"
    with pytest.raises(FetchError, match=rf"meta.gz: got sha256 .*expected {'0' * 64}"):
        imported(server, dataset, tmp_path / "out", labels=wrong)
    with pytest.raises(FetchError, match=r"none.gz: HTTP status 404"):
        imported(server, dataset, tmp_path / "out", mixture=server.url("none.gz"))
    with pytest.raises(FetchError, match=r"gone.tar.gz: no such file"):
        imported(server, dataset, tmp_path / "out", mixture=str(tmp_path / "gone.tar.gz"))
    assert not (tmp_path / "out").exists()


def unpacked(folder: Path, data: bytes, **more: int) -> list[str]:
    (folder / "archive").write_bytes(data)
    return unpack(folder / "archive", store(str(folder / "target")), (".tsv",), **more)


@pytest.mark.parametrize("packed", [True, False])
def test_wanted_files_are_unpacked_and_no_others(tmp_path: Path, packed: bool) -> None:
    entries: list[Entry] = [("./a/1.tsv", b"one"), ("2.tsv", b""), ("b/notes.txt", b"no")]
    assert unpacked(tmp_path, tar_of(entries, packed=packed)) == ["2.tsv", "a/1.tsv"]
    found = {
        str(path.relative_to(tmp_path / "target")): path.read_bytes()
        for path in (tmp_path / "target").rglob("*")
        if path.is_file()
    }
    assert found == {"a/1.tsv": b"one", "2.tsv": b""}


@pytest.mark.parametrize(
    "bad",
    [
        ("../outside.tsv", b"x"),
        ("a/../../outside.tsv", b"x"),
        ("/tmp/outside.tsv", b"x"),  # noqa: S108
        ("link.tsv", "/etc/passwd"),
        ("link.tsv", "../outside"),
    ],
)
def test_what_leads_out_is_refused(tmp_path: Path, bad: Entry) -> None:
    with pytest.raises(PipelineError, match=r"archive: holds .*expected plain files below one"):
        unpacked(tmp_path, tar_of([("good.tsv", b"x"), bad]))
    inside = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert inside <= {"archive", "target"}
    assert not (tmp_path.parent / "outside.tsv").exists()


def test_archives_that_are_too_large_or_something_else(tmp_path: Path) -> None:
    entries: list[Entry] = [("a.tsv", b"x" * 600), ("b.tsv", b"x" * 600)]
    with pytest.raises(PipelineError, match=r"b.tsv has 600 bytes, all so far 1200"):
        unpacked(tmp_path, tar_of(entries), most_bytes=1000)
    with pytest.raises(PipelineError, match=r"holds a.tsv twice"):
        unpacked(tmp_path, tar_of([("a.tsv", b"1"), ("./a.tsv", b"2")]))
    with pytest.raises(PipelineError, match=r"no file that ends in .tsv; is it the right archive"):
        unpacked(tmp_path, tar_of([("a.txt", b"1")]))
    with pytest.raises(ShardsError, match="archive"):
        unpacked(tmp_path, b"<html>not found</html>")
    with pytest.raises(ShardsError, match="archive"):
        unpacked(tmp_path, gzip.compress(b"<html>not found</html>"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_an_archive_that_ends_too_early_is_no_archive(tmp_path: Path, share: float) -> None:
    data = np.random.default_rng(0).integers(0, 256, 20_000, np.uint8).tobytes()
    for packed in (True, False):
        whole = tar_of([("a.tsv", data), ("b.tsv", data)], packed=packed).rstrip(b"\0")
        with pytest.raises(ShardsError, match="truncated"):
            unpacked(tmp_path, whole[: int(share * len(whole))])


def test_damage_is_told(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, 20_000, np.uint8).tobytes()
    whole = bytearray(tar_of([("a.tsv", data)]))
    whole[len(whole) // 2] ^= 1
    with pytest.raises(ShardsError, match="archive"):
        unpacked(tmp_path, bytes(whole))
