"""The label table of one subset folder: its clips, and what is missing or too much."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from shards.clip import Clip, ClipError, check_clip, is_empty
from shards.io.store import Store
from shards.sources._matching import Files, rows_by_file
from shards.sources._tables import Row, SourceError, integer, share_note, stem
from shards.tables.clip_labels import empty_cells, strong_events, weak_labels
from shards.tables.commas import cut_at_commas
from shards.tables.wrong_rows import WrongRows

Kind = Literal["strong", "weak", "list"]

# What a folder is called -> its subset; "train" is strong, weak or unlabeled by its table.
SUBSETS = {
    "strong": "strong",
    "synthetic": "synthetic",
    "weak": "weak",
    "unlabeled": "unlabeled",
    "unlabelled": "unlabeled",
    "unlabeled_in_domain": "unlabeled",
    "unlabel_in_domain": "unlabeled",
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "eval": "test",
}
EXPECTED_KIND: Mapping[str, Kind] = {
    "strong": "strong",
    "synthetic": "strong",
    "weak": "weak",
    "unlabeled": "list",
}
COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    "strong": ("onset", "offset", "event_label"),
    "weak": ("event_labels",),
    "list": (),
}
SUBSET_OF_KIND: Mapping[Kind, str] = {"strong": "strong", "weak": "weak", "list": "unlabeled"}


class Found(NamedTuple):
    """The clips of one subset folder, and what is told of it."""

    clips: list[Clip]
    missing: list[str]
    extra: list[str]
    notes: list[str]


class Table(NamedTuple):
    """A label table, read."""

    name: str
    rows: Sequence[Row]
    whole: frozenset[str]  # labels that hold commas
    wrong: WrongRows  # those of its rows that cannot be read


def labelled(store: Store, name: str, audio: Sequence[str], table: Table) -> Found:
    """The clips of one subset folder that has a table; its `wrong` gets rows that are."""
    rows, path = table.rows, store.path(table.name)
    kind = _kind(rows, path)
    subset = SUBSETS[name]
    expected = EXPECTED_KIND.get(subset, kind)
    if rows and kind != expected:
        raise SourceError(
            f"{path}: got the columns {', '.join(rows[0])}; expected filename"
            f"{''.join(', ' + column for column in COLUMNS[expected])} for the subset {subset}"
        )
    if subset == "train":
        subset = SUBSET_OF_KIND[kind]
    others = SUBSETS.keys() - {name}
    files = Files(audio, name, root=store.root, table=table.name, others=others)
    listed, missing = rows_by_file(rows, files, path, table.wrong)
    if audio and missing and not listed:
        raise SourceError(
            f"{path}: none of its {len(missing)} files lies under {name}/, such as "
            f"{missing[0]!r}; there is such as {audio[0]!r}: correct the names in the table"
        )
    wrong = table.wrong
    clips = []
    for file, of_file in listed.items():
        with wrong.noted():
            clips.append(_clip(file, subset, kind, of_file, table, wrong))
    if wrong.messages:
        _note_wrong_clips(clips, wrong)
        return Found([], [], [], [])
    extra = sorted(set(audio) - set(listed))
    published = len(listed) + len(missing)
    notes = [f"{name}: {share_note(len(listed), published, 'listed clips')}"]
    if extra:
        notes.append(f"{name}: {len(extra)} audio files left out, {table.name} does not list them")
    if kind == "weak" and (cut := cut_at_commas(rows, table.whole)):
        notes.append(
            f"{name}: labels of {len(cut)} cells such as {cut[0]!r} are cut at their commas; where "
            "that is one class, name it in a strong table, or in a .jsonl table as a list"
        )
    if kind == "weak" and (note := empty_cells(rows, path)):
        notes.append(f"{name}: {note}")
    return Found(clips, [f"{name}/{file}" for file in missing], extra, notes)


def _note_wrong_clips(clips: Sequence[Clip], wrong: WrongRows) -> None:
    """Tell with wrong rows what packing would refuse of the clips, where it can be seen by now."""
    for clip in clips:
        try:
            check_clip(clip, math.inf)
        except ClipError as error:
            wrong.messages += map(str, getattr(error, "errors", [error]))


def _kind(rows: Sequence[Row], path: str) -> Kind:
    columns = set(rows[0]) if rows else set()
    for kind in ("strong", "weak"):
        if found := columns & set(COLUMNS[kind]):
            if lacking := sorted(set(COLUMNS[kind]) - found):
                raise SourceError(f"{path}: got no column {', '.join(lacking)}; add it")
            return kind
    return "list"


def _clip(
    file: str, subset: str, kind: Kind, rows: Sequence[Row], table: Table, wrong: WrongRows
) -> Clip:
    """The clip of all rows of a table that name one file; `wrong` gets the bad ones."""
    where = f"{wrong.path}: {file}"
    weak = events = None
    if kind == "weak":
        weak = weak_labels(rows, wrong, table.whole)
    if kind == "strong":
        events = strong_events(rows, wrong)
    fold = _same(rows, "fold", where)
    return Clip(
        source_id=stem(file),
        audio=file,
        subset=subset,
        recording=_same(rows, "recording", where),
        fold=None if fold is None else integer(fold, f"{where}: fold"),
        weak=weak,
        events=events,
    )


def _same(rows: Sequence[Row], column: str, where: str) -> str | None:
    """The one value that a file's rows give; None where they give none."""
    values = sorted({row[column] for row in rows if not is_empty(row.get(column, ""))})
    if len(values) > 1:
        raise SourceError(f"{where}: got the {column} values {', '.join(values)}; expected one")
    return values[0] if values else None
