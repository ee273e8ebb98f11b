"""The recordings that soundscapes are made of, and their split by source recording."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from shards.audio.decoding import AUDIO_SUFFIXES
from shards.errors import Faults, ShardsError, SourceError, told
from shards.io.store import Store
from shards.tables.rows import Row, separated_rows

ESC50_NAMES = r"(?P<fold>\d+)-(?P<source>\d+)-.+"  # fold, freesound id, take
FORBIDDEN_IN_LABELS = frozenset("\t\n\r,")  # they part the columns and the labels of tables


class RecordingError(ShardsError, ValueError):
    """A recording, a class folder or a split that cannot be used."""


@dataclass(frozen=True, kw_only=True, order=True)
class Recording:
    """One file: `name` is where a reader finds it, `source` the recording that it was cut from."""

    name: str
    label: str
    source: str
    fold: str | None = None


def class_folders(
    store: Store,
    prefix: str,
    *,
    name_rule: str | None = None,
    flat_label: str | None = None,
) -> list[Recording]:
    """Every audio file of a folder, its first sub-folder being its class.

    Names get `prefix/` in front. `name_rule` is a regular expression for the whole file name
    without suffix, with a group `source` and perhaps `fold`; each name must match. Without a
    rule, names like ESC-50's (`1-100032-A`) give fold and source, and any other file is a
    source of its own. Files in no sub-folder get `flat_label`, and are an error without it.
    """
    found = []
    folders = set()
    faults = Faults(RecordingError)
    for name in store.names():
        path = PurePosixPath(name)
        label = path.parts[0] if len(path.parts) > 1 else flat_label
        if len(path.parts) > 1:
            folders.add(path.parts[0])
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            continue
        with faults.noted():
            if label is None:
                raise RecordingError(
                    f"{store.path(name)}: got audio in no class folder; move it to a sub-folder "
                    "that is named as its class"
                )
            found.append(_recording(f"{prefix}/{name}", label, name_rule))
    faults.check()
    if not found:
        raise RecordingError(
            f"{store.root}: no audio found; expected files with {', '.join(AUDIO_SUFFIXES)} in "
            "one sub-folder per class"
        )
    if empty := folders - {recording.label for recording in found}:
        raise RecordingError(
            f"{told([store.path(name) for name in sorted(empty)])}: a class folder without audio; "
            "add recordings to it, or leave it out"
        )
    return sorted(found)


def recordings_from_csv(
    store: Store,
    csv_name: str,
    prefix: str,
    *,
    audio_folder: str = "audio",
    name_rule: str | None = None,
    esc10_only: bool = False,
) -> list[Recording]:
    """Recordings of a table with columns `filename`, `category` and perhaps `fold` and `esc10`.

    This is ESC-50's own layout (`meta/esc50.csv` beside `audio/`); `esc10_only` keeps the rows
    whose `esc10` is True.
    """
    where = store.path(csv_name)
    rows = _rows(store.read(csv_name), where, ("filename", "category"))
    found = []
    faults = Faults(RecordingError)
    for row in rows:
        if esc10_only and _cell(row, "esc10", where).lower() != "true":
            continue
        name = f"{audio_folder}/{row['filename']}" if audio_folder else row["filename"]
        with faults.noted():
            if store.size(name) is None:
                raise RecordingError(f"{where}: {row['filename']!r} is not in {store.path('')}")
            found.append(
                _recording(f"{prefix}/{name}", row["category"], name_rule, fold=row.get("fold"))
            )
    faults.check()
    if not found:
        raise RecordingError(f"{where}: no recordings in it; expected one row per recording")
    names = [recording.name for recording in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RecordingError(f"{where}: {twice!r} is listed twice; remove one of its rows")
    return sorted(found)


def part_backgrounds(
    recordings: Iterable[Recording], labels: Iterable[str]
) -> tuple[list[Recording], list[Recording]]:
    """`(foregrounds, backgrounds)`: backgrounds are the recordings of the named classes."""
    recordings, labels = list(recordings), set(labels)
    if unknown := labels - {recording.label for recording in recordings}:
        raise RecordingError(
            f"background classes: got {min(unknown)!r}; expected some of "
            f"{', '.join(sorted({recording.label for recording in recordings}))}"
        )
    return (
        [recording for recording in recordings if recording.label not in labels],
        [recording for recording in recordings if recording.label in labels],
    )


def split_by_fold(
    recordings: Iterable[Recording], folds: Mapping[str, Sequence[str]]
) -> dict[str, list[Recording]]:
    """Recordings per split, given the folds of each split (`{"train": ["1", "2"], ...}`).

    Folds that no split names are left out.
    """
    parts: dict[str, list[Recording]] = {split: [] for split in folds}
    for recording in recordings:
        if recording.fold is None:
            raise RecordingError(
                f"{recording.name}: no fold is known for it; give a name rule or a table with "
                "folds, or split by source"
            )
        for split, wanted in folds.items():
            if recording.fold in wanted:
                parts[split].append(recording)
    return _disjoint(parts)


def split_by_source(
    recordings: Iterable[Recording], shares: Mapping[str, float], seed: int
) -> dict[str, list[Recording]]:
    """Recordings per split; in each class the sources are shared out in a seeded hash's order.

    Every split gets at least one source of each class. A source that several classes share
    goes where the first of them put it.
    """
    recordings = sorted(recordings)
    if not shares or min(shares.values()) <= 0:
        raise RecordingError(f"split shares: got {dict(shares)}; expected positive numbers")
    split_of: dict[str, str] = {}
    sources_of: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        sources_of[recording.label].add(recording.source)
    for label in sorted(sources_of):
        new = sorted(sources_of[label] - split_of.keys(), key=lambda source: _hash(seed, source))
        missing = shares.keys() - {split_of.get(source) for source in sources_of[label]}
        if len(new) < len(missing):
            raise RecordingError(
                f"class {label!r}: got {len(sources_of[label])} source recordings; expected at "
                f"least one for each split ({', '.join(shares)}): add recordings"
            )
        split_of.update(zip(new, _quotas(len(new), shares, missing), strict=True))
    parts: dict[str, list[Recording]] = {split: [] for split in shares}
    for recording in recordings:
        parts[split_of[recording.source]].append(recording)
    return _disjoint(parts)


def split_by_csv(
    recordings: Iterable[Recording], data: bytes, name: str
) -> dict[str, list[Recording]]:
    """Recordings per split by a table with columns `filename` (a recording's name) and `split`."""
    recordings = list(recordings)
    split_of = {row["filename"]: row["split"] for row in _rows(data, name, ("filename", "split"))}
    if unknown := split_of.keys() - {recording.name for recording in recordings}:
        raise RecordingError(
            f"{name}: {told(sorted(map(repr, unknown)))}: no recording; expected names such as "
            f"{recordings[0].name!r}"
        )
    parts: dict[str, list[Recording]] = {split: [] for split in split_of.values()}
    if lacking := [r.name for r in recordings if r.name not in split_of]:
        raise RecordingError(
            f"{name}: no split for {told(list(map(repr, lacking)))}; add a row for each"
        )
    for recording in recordings:
        parts[split_of[recording.name]].append(recording)
    return _disjoint(parts)


def _disjoint(parts: dict[str, list[Recording]]) -> dict[str, list[Recording]]:
    """The splits, sorted, after checking that no source is in two of them."""
    split_of: dict[str, str] = {}
    for split, recordings in parts.items():
        for recording in recordings:
            if split_of.setdefault(recording.source, split) != split:
                raise RecordingError(
                    f"{recording.name}: its source {recording.source!r} is in the splits "
                    f"{split_of[recording.source]!r} and {split!r}; put all cuts of a source "
                    "recording in one split"
                )
    return {split: sorted(recordings) for split, recordings in parts.items()}


def _quotas(count: int, shares: Mapping[str, float], missing: Iterable[str]) -> list[str]:
    """The split of each of `count` sources: first one for each missing split, then by share."""
    given = [split for split in shares if split in missing]
    while len(given) < count:
        # the split that lacks most of its share; the first of equals
        given.append(min(shares, key=lambda split: (given.count(split) + 1) / shares[split]))
    return given


def _hash(seed: int, source: str) -> bytes:
    return hashlib.sha256(f"{seed}:{source}".encode()).digest()


def _recording(name: str, label: str, name_rule: str | None, fold: str | None = None) -> Recording:
    if not label or FORBIDDEN_IN_LABELS & set(label):
        raise RecordingError(
            f"{name}: got the class name {label!r}; expected one without commas and tabs"
        )
    stem = PurePosixPath(name).stem
    try:
        match = re.fullmatch(name_rule or ESC50_NAMES, stem)
    except re.error as error:
        raise RecordingError(
            f"the name rule {name_rule!r} is no regular expression ({error}); correct it"
        ) from error
    if match is None and name_rule is not None:
        raise RecordingError(
            f"{name}: its name does not match the name rule {name_rule!r}; correct the rule"
        )
    groups = match.groupdict() if match else {}
    return Recording(
        name=name,
        label=label,
        source=groups.get("source") or str(PurePosixPath(name).with_suffix("")),
        fold=fold or groups.get("fold"),
    )


def _rows(data: bytes, name: str, columns: Iterable[str]) -> list[Row]:
    try:
        rows = separated_rows(data.decode("utf-8-sig"), ",", name)
    except UnicodeDecodeError as error:
        raise RecordingError(f"{name}: no table in UTF-8 ({error}); convert it") from error
    except SourceError as error:
        raise RecordingError(str(error)) from error
    lacking = [
        f"{row.where}: no value for {column!r}; expected a column of that name"
        for row in rows
        for column in columns
        if not row.get(column)
    ]
    if lacking:
        raise RecordingError(told(lacking))
    return rows


def _cell(row: Row, column: str, where: str) -> str:
    value = row.get(column)
    if not value:
        raise RecordingError(f"{where}: no value for {column!r}; expected a column of that name")
    return value
