"""One's own recordings: a folder per subset, and a label table beside each.

    ROOT/weak/...audio...         ROOT/weak.tsv         filename, event_labels (comma-separated)
    ROOT/strong/...audio...       ROOT/strong.csv       filename, onset, offset, event_label
    ROOT/unlabeled/...audio...    no table, or one with filename alone

A table is TSV, CSV or JSONL and lies in ROOT or ROOT/metadata; columns `recording` and `fold`
are optional. A strong row with empty onset, offset and label is a clip without events. Without a
table, the folders in a subset's folder are its weak labels, unless it is `unlabeled`. Audio in
ROOT itself is unlabelled.

Audio that its table does not list is left out and counted: it may hold events, so it is no
example of silence, and it may belong to a test set, so it is not to be learnt from either.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from shards.clip import Clip
from shards.io.store import Store
from shards.sources._matching import Files, rows_by_file
from shards.sources._tables import (
    TABLE_SUFFIXES,
    Options,
    Row,
    SourceError,
    SourceListing,
    audio_names,
    by_stem,
    check_options,
    classes_of,
    integer,
    is_hidden,
    read_table,
    share_note,
    stem,
)
from shards.tables.cells import is_empty, label_of
from shards.tables.clip_labels import strong_events, weak_labels
from shards.tables.commas import cut_at_commas, with_commas
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


class _Found(NamedTuple):
    clips: list[Clip]
    missing: list[str]
    extra: list[str]
    notes: list[str]


def folder(store: Store, options: Options) -> SourceListing:
    """List the clips of a folder in the layout above."""
    check_options(options, (), "folder")
    audio: dict[str, list[str]] = defaultdict(list)  # folder -> its audio; "" is ROOT
    for name in audio_names(store):
        first, slash, _ = name.partition("/")
        audio[first if slash else ""].append(name)
    if unknown := sorted(set(audio) - set(SUBSETS) - {""}):
        raise SourceError(
            f"{store.root}: got audio in the folder {unknown[0]!r}; expected folders named "
            f"{', '.join(SUBSETS)}: rename it, or move class folders into weak/"
        )
    tables, notes = _tables(store)
    without_audio = sorted(tables.keys() - audio.keys())
    if audio[""] and without_audio:
        raise SourceError(
            f"{store.root}: got audio in it and the table {tables[without_audio[0]]}; expected "
            f"its audio in {without_audio[0]}/: move it there"
        )
    rows = {name: read_table(store, table, ("filename",)) for name, table in tables.items()}
    whole = with_commas(rows.values())
    found = []
    for name in sorted((audio.keys() | tables.keys()) - {""}):
        if name in tables:
            where = _Table(tables[name], rows[name], whole)
            found.append(_labelled(store, name, audio[name], where))
        else:
            found.append(_without_table(store, name, audio[name]))
    found.append(_unlabelled("unlabeled", audio[""]))
    clips = [clip for part in found for clip in part.clips]
    if not clips:
        raise SourceError(
            f"{store.root}: no audio file is listed in a table; expected names such as those in "
            "the subset folders: correct the tables"
        )
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=tuple(name for part in found for name in part.missing),
        extra=tuple(name for part in found for name in part.extra),
        notes=(*notes, *(note for part in found for note in part.notes)),
    )


def _tables(store: Store) -> tuple[dict[str, str], list[str]]:
    """The label table of each subset folder, and notes on tables that belong to none."""
    tables: dict[str, str] = {}
    notes = []
    for name in store.names():
        path = PurePosixPath(name)
        if path.suffix not in TABLE_SUFFIXES or str(path.parent) not in (".", "metadata"):
            continue
        if is_hidden(name):
            continue
        if path.stem not in SUBSETS:
            notes.append(f"{name} is not used: it is not named after a subset folder")
        elif (other := tables.setdefault(path.stem, name)) != name:
            raise SourceError(f"{store.root}: got two tables, {other} and {name}; remove one")
    return tables, notes


def _without_table(store: Store, name: str, audio: Sequence[str]) -> _Found:
    subset = SUBSETS[name]
    if subset in ("strong", "synthetic"):
        raise SourceError(
            f"{store.path(name)}: got no label table; expected {name}.tsv beside it with the "
            "columns filename, onset, offset, event_label"
        )
    below = [PurePosixPath(file).parts[1:-1] for file in audio]
    if subset == "unlabeled" or not any(below):
        if subset == "weak":
            raise SourceError(
                f"{store.path(name)}: got no label table and no class folders; expected "
                f"{name}.tsv with the columns filename, event_labels, or {name}/CLASS/audio"
            )
        part = _unlabelled("unlabeled" if subset == "train" else subset, audio)
        if subset in ("validation", "test"):
            part.notes.append(f"{name}: no label table, its {len(audio)} clips are unlabelled")
        return part
    if not all(below):
        loose = audio[below.index(())]
        raise SourceError(
            f"{store.path(loose)}: lies beside class folders; expected every file of {name} in "
            "a class folder: move it, or write a label table"
        )
    subset = "weak" if subset == "train" else subset
    clips = [
        Clip(source_id=stem(file), audio=file, subset=subset, weak=(label_of(parts[0], file),))
        for file, parts in zip(audio, below, strict=True)
    ]
    return _Found(clips, [], [], [f"{name}: labels of {len(clips)} clips from folder names"])


def _unlabelled(subset: str, audio: Sequence[str]) -> _Found:
    clips = [
        Clip(source_id=source_id, audio=file, subset=subset)
        for source_id, file in by_stem(audio).items()
    ]
    return _Found(clips, [], [], [])


class _Table(NamedTuple):
    name: str
    rows: Sequence[Row]
    whole: frozenset[str]  # labels that hold commas


def _labelled(store: Store, name: str, audio: Sequence[str], table: _Table) -> _Found:
    """The clips of one subset folder that has a table."""
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
    listed, missing = rows_by_file(rows, files, path)
    if audio and rows and not listed:
        raise SourceError(
            f"{path}: none of its {len(missing)} files lies under {name}/, such as "
            f"{missing[0]!r}; there is such as {audio[0]!r}: correct the names in the table"
        )
    wrong = WrongRows(path)
    clips = []
    for file, of_file in listed.items():
        with wrong.noted():
            clips.append(_clip(file, subset, kind, of_file, table, wrong))
    wrong.check()
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
    return _Found(clips, [f"{name}/{file}" for file in missing], extra, notes)


def _kind(rows: Sequence[Row], path: str) -> Kind:
    columns = set(rows[0]) if rows else set()
    for kind in ("strong", "weak"):
        if found := columns & set(COLUMNS[kind]):
            if lacking := sorted(set(COLUMNS[kind]) - found):
                raise SourceError(f"{path}: got no column {', '.join(lacking)}; add it")
            return kind
    return "list"


def _clip(
    file: str, subset: str, kind: Kind, rows: Sequence[Row], table: _Table, wrong: WrongRows
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
