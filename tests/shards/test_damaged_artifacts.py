"""Damaged manifests, indexes, frame files and tables: a clear error, or the same content.

Frame files of before have no checksums: of them no more is held than that they are read or refused
in a line.
`PMAM_FUZZ_S=600 pytest -m slow` tries for that long; each input counts once.
"""

import csv
import io
import json
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frame_cases import clips, spec, write
from packing import noise_clips, pack
from sound_mutations import mutated

from shards.dataset import Dataset
from shards.errors import FrameError, ShardsError, SourceError
from shards.frames import writer
from shards.frames.reader import FrameFile
from shards.io.store import Store
from shards.manifest import DatasetError, totals
from shards.repair.verification import verify
from shards.tables.rows import separated_rows

FUZZ_S = float(os.environ.get("PMAM_FUZZ_S", "60"))
LONG = (pytest.mark.slow, pytest.mark.timeout(FUZZ_S + 600))
QUICK = 60


def rounds(seed: int, count: int | None) -> Iterator[np.random.Generator]:
    """So many random generators; None: as many as there is time for."""
    end_s = time.monotonic() + FUZZ_S
    number = 0
    while number < count if count is not None else time.monotonic() < end_s:
        yield np.random.default_rng([seed, number])
        number += 1


def check_file(
    path: Path, read: Callable[[], Any], seed: int, count: int | None, *, same: bool = True
) -> int:
    """Damage a file again and again; how often it was refused."""
    whole, expected = path.read_bytes(), read()
    refused = tried = 0
    try:
        for rng in rounds(seed, count):
            data = mutated(whole, rng)
            path.write_bytes(data)
            try:
                found = read()
            except ShardsError as error:
                assert "\n" not in str(error)
                refused += 1
                continue
            assert not same or found == expected, f"{len(data)} bytes, other content without a word"
            tried += 1
    finally:
        path.write_bytes(whole)
    print(f"{path.name}: {tried + refused} tried, {refused} refused")
    return refused


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("set")
    pack(root / "source", noise_clips(root / "source", 6), root / "set")
    return root / "set"


def rows_of(packed: Path) -> Callable[[], Any]:
    return lambda: list(Dataset.open(Store.local(packed)).rows)


def frames_of(path: Path) -> Callable[[], Any]:
    def read() -> Any:
        file = FrameFile.open(Store.local(path.parent), path.name)
        rows = [(key, file.read(key).tobytes()) for key in file.keys]
        return asdict(file.spec), rows

    return read


def manifest_of(packed: Path) -> Callable[[], Any]:
    """What decides what is read; a shard's name and checksum are compared when it is read.

    Other totals read the same clips: `verify` tells of them.
    """

    def read() -> Any:
        dataset = Dataset.open(Store.local(packed))
        if totals(dataset.rows) != dataset.manifest.totals:
            found = verify(Store.local(packed), decode="none", workers=1).problems
            assert "totals" in {problem.where for problem in found}
            raise DatasetError("other totals")
        return list(dataset.rows), dataset.manifest.totals

    return read


@pytest.mark.parametrize("count", [QUICK, pytest.param(None, marks=LONG)])
def test_indexes(packed: Path, count: int | None) -> None:
    (index,) = (packed / "index").glob("*.parquet")
    assert check_file(index, rows_of(packed), 1, count) > 0


@pytest.mark.parametrize("count", [QUICK, pytest.param(None, marks=LONG)])
def test_manifests(packed: Path, count: int | None) -> None:
    assert check_file(packed / "dataset.json", manifest_of(packed), 2, count) > 0


@pytest.mark.parametrize("dtype", ["float32", "float16", "sparse8"])
@pytest.mark.parametrize("count", [QUICK, pytest.param(None, marks=LONG)])
def test_frame_files(tmp_path: Path, dtype: str, count: int | None) -> None:
    path = write(tmp_path / "a.arrow", clips(), spec(dtype=dtype, kind="scores"))
    assert check_file(path, frames_of(path), 3, count) > 0


@pytest.mark.parametrize("number", [0, 1, 2, 4])
@pytest.mark.parametrize("checked", [True, False])
def test_a_footer_that_names_fewer_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, checked: bool
) -> None:
    """Files of before, without checksums, are held to it as well."""
    monkeypatch.setattr(writer, "BATCH_BYTES", 1)
    if not checked:
        monkeypatch.setattr(writer, "with_checksum", lambda metadata: metadata)
        monkeypatch.setattr(writer, "of_batch", lambda batch: None)
    path = write(tmp_path / "a.arrow", clips(5), spec())
    data = path.read_bytes()
    (length,) = struct.unpack("<i", data[-10:-6])
    first = struct.pack("<I", 5) + struct.pack("<q", data.index(b"\xff\xff\xff\xff", 12))
    at = data.index(first, len(data) - 10 - length)
    assert len(frames_of(path)()[1]) == 5
    path.write_bytes(data[:at] + struct.pack("<I", number) + data[at + 4 :])
    assert pa.ipc.open_file(path).num_record_batches == number
    with pytest.raises(FrameError, match=f"a.arrow: .* names {number} batches"):
        FrameFile.open(Store.local(tmp_path), "a.arrow")


def test_a_footer_that_leaves_out_the_first_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list begins two blocks later, and is two shorter."""
    monkeypatch.setattr(writer, "BATCH_BYTES", 1)
    path = write(tmp_path / "a.arrow", clips(5), spec())
    data = path.read_bytes()
    (length,) = struct.unpack("<i", data[-10:-6])
    first = struct.pack("<I", 5) + struct.pack("<q", data.index(b"\xff\xff\xff\xff", 12))
    at = data.index(first, len(data) - 10 - length)
    kept = struct.pack("<I", 3) + data[at + 4 + 48 : at + 4 + 120]
    path.write_bytes(data[:at] + kept + data[at + len(kept) :])
    assert pa.ipc.open_file(path).num_record_batches == 3
    with pytest.raises(FrameError, match=r"a.arrow: .* a batch at byte \d+, where \d+ is due"):
        FrameFile.open(Store.local(tmp_path), "a.arrow")


@pytest.mark.parametrize("count", [0, 400])
def test_files_of_no_batch_and_of_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The footer of many is longer than what is read at once."""
    monkeypatch.setattr(writer, "BATCH_BYTES", 1)
    rows = clips(count)
    path = write(tmp_path / "a.arrow", rows, spec())
    assert [key for key, _ in frames_of(path)()[1]] == list(rows)


def test_frame_files_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "with_checksum", lambda metadata: metadata)
    monkeypatch.setattr(writer, "of_batch", lambda batch: None)
    path = write(tmp_path / "a.arrow", clips(), spec(kind="scores"))
    assert [key for key, _ in frames_of(path)()[1]] == list(clips())
    assert check_file(path, frames_of(path), 3, QUICK, same=False) > 0


TABLE = (
    "filename\tonset\toffset\tevent_label\n"
    'a.wav\t0.5\t1.25\t"Dog, bark"\n'
    "b.wav\t1,5\t2\tVögel\n"
    'c.wav\t\t\t""\n'
    "a.wav\t2\t3\tcat\n"
)
# a row of blank cells, quoted or not, is none
_BLANK_CELL = r'[ \r]*("[\t ]*")?[ \r]*'
BLANK = re.compile(rf"{_BLANK_CELL}(\t{_BLANK_CELL})*")


def by_csv(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t") if row]


@pytest.mark.parametrize("count", [300, pytest.param(None, marks=LONG)])
def test_tables(count: int | None) -> None:
    """No row is swallowed: as many as lines, with csv's cells where nothing is quoted."""
    tried = 0
    for rng in rounds(4, count):
        try:
            text = mutated(TABLE.encode(), rng).decode()
        except UnicodeDecodeError:
            continue
        tried += 1
        try:
            rows = separated_rows(text, "\t", "t.tsv", ("filename",))
        except SourceError as error:
            assert "\n" not in str(error)
            assert str(error).startswith("t.tsv")
            continue
        lines = [line for line in re.split(r"\r\n|\r|\n", text) if not BLANK.fullmatch(line)]
        assert len(rows) == len(lines) - 1
        if '"' not in text:
            theirs = by_csv(text)
            assert [row["filename"] for row in rows] == [
                cells[theirs[0].index("filename")].strip()
                if "filename" in theirs[0]
                else row["filename"]
                for cells, row in zip(theirs[1:], rows, strict=False)
            ]
    print(f"{tried} tables tried")
    assert tried > 100


def test_a_manifest_is_plain_json(packed: Path) -> None:
    assert json.loads((packed / "dataset.json").read_text())["format_version"]
