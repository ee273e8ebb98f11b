"""New labels, classes and subsets over the same audio: a new index, and no byte of audio moves."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
import pyarrow as pa

from shards.clip import Clip, ClipError, Event, check_clip, is_empty, nfc
from shards.columns import Columns, texts
from shards.editing.label_mapping import mapped
from shards.editing.settings import RelabelSettings
from shards.errors import ShardsError, told
from shards.index import SCHEMA, IndexRow, rows_to_table
from shards.label_columns import LabelColumns
from shards.rows import Rows, table_of
from shards.sources._matching import Files, as_row, named_alike, rows_by_file
from shards.sources._tables import SourceError, integer
from shards.tables.clip_labels import STRONG, WEAK, strong_events, weak_labels
from shards.tables.commas import with_commas
from shards.tables.rows import Row
from shards.tables.wrong_rows import WrongRows

OLD, NEW = "old", "new"
LABELS = ("weak", "events")


class RelabelError(ShardsError, ValueError):
    """Labels that do not fit the dataset; the message is one line."""


def by_clip(
    rows: Sequence[IndexRow], table: Iterable[Mapping[str, str]]
) -> tuple[dict[str, list[Row]], list[str]]:
    """A table's rows by clip id, and the names in it that no clip has.

    The column `filename` is a clip's id, with or without folders and suffix; see
    `shards.sources._matching.Files`.

    Raises:
        RelabelError: it names no clip at all.
        SourceError: names that fit several clips.
    """
    listed = list(map(as_row, table))
    ids = table_of(rows)["source_id"]
    every = (each for chunk in ids.iterchunks() for each in texts(chunk))
    wanted = named_alike(every, (row["filename"] for row in listed))
    found, missing = rows_by_file(listed, Files(wanted, ""), "the table")
    if not found:
        raise RelabelError(
            f"the table names no clip of the dataset: got such as {(missing or ['nothing'])[0]!r}, "
            f"expected such as {ids[0].as_py()!r}"
        )
    return found, missing


def with_labels(
    rows: Sequence[IndexRow],
    table: Mapping[str, Sequence[Mapping[str, str]]],
    settings: RelabelSettings,
) -> Rows:
    """Rows with the labels of a table: strong where it has onsets, else weak.

    Raises:
        SourceError: the table has neither `onset, offset, event_label` nor `event_labels`, or rows
            that cannot be read; all of these in one message.
        ClipError: events that are not inside their clips; all of these in one message.
    """
    rows = Rows(table_of(rows))
    cells_of = {clip: [as_row(cells) for cells in of_clip] for clip, of_clip in table.items()}
    whole = with_commas(cells_of.values()) | {each for each in labels_of(rows) if "," in each}
    wrong, wrong_clips = WrongRows("label table"), []
    listed = Columns(rows.table).of_sources(cells_of)
    labelled = []
    for row in rows.taken(np.flatnonzero(listed)):
        cells = cells_of[row.source_id]
        try:
            with wrong.noted():
                labelled.append(_labelled(row, cells, settings.subset, whole, wrong))
        except ClipError as error:
            wrong_clips.append(str(error))
    wrong.check()
    if wrong_clips:
        raise ClipError(told(wrong_clips))
    if settings.others == "drop":
        return Rows(rows_to_table(labelled))
    if settings.others == "unlabel":
        nothing = {name: pa.nulls(len(rows), SCHEMA.field(name).type) for name in LABELS}
        rows = rows.with_columns(**nothing)
    return rows.replaced(listed, rows_to_table(labelled), ("subset", *LABELS))


def _labelled(
    row: IndexRow,
    cells: Sequence[Row],
    subset: str | None,
    whole: Collection[str],
    wrong: WrongRows,
) -> IndexRow:
    weak: tuple[str, ...] | None = None
    events: tuple[Event, ...] | None = None
    if all(column in cells[0] for column in STRONG):
        events = strong_events(cells, wrong)
    elif WEAK in cells[0]:
        weak = weak_labels(cells, wrong, whole)
    else:
        raise SourceError(
            f"label table: got the columns {', '.join(cells[0])}; expected filename, "
            f"{', '.join(STRONG)} (strong) or filename, {WEAK} (weak)"
        )
    clip = Clip(
        source_id=row.source_id,
        audio=row.shard,
        subset=subset or row.subset,
        weak=weak,
        events=events,
    )
    clip = check_clip(clip, row.duration_s)
    return replace(row, subset=clip.subset, weak=clip.weak, events=clip.events)


def with_mapping(
    rows: Sequence[IndexRow], table: Sequence[Mapping[str, str]], settings: RelabelSettings
) -> Rows:
    """Rows with each old label as the new ones that a table with `old` and `new` names.

    Several rows with the same `old` give several labels, an empty `new` takes the label away.
    What overlaps or touches under one new label stays as events of their own.

    Raises:
        RelabelError: with `unmapped='fail'`, the dataset has labels that the table does not.
    """
    mapping: dict[str, list[str]] = {}
    for cell in table:
        old, new = nfc(cell[OLD]), nfc(cell[NEW])
        news = mapping.setdefault(old, [])
        news += [new] if not is_empty(new) and new not in news else []
    rows = Rows(table_of(rows))
    unknown = sorted(set(map(nfc, labels_of(rows))) - mapping.keys())
    if unknown and settings.unmapped == "fail":
        raise RelabelError(
            f"the mapping lacks {len(unknown)} labels of the dataset: "
            f"{told([_nearest(label, mapping) for label in unknown])}; add them, or give "
            "--unmapped keep or drop"
        )
    if settings.unmapped == "keep":
        mapping |= {label: [label] for label in unknown}
    return mapped(rows, lambda label: mapping.get(nfc(label), ()))


def with_subsets(
    rows: Sequence[IndexRow], table: Mapping[str, Sequence[Mapping[str, str]]]
) -> Rows:
    """Rows with the `subset` and the `fold` of a table, where it names the clip and has them.

    Raises:
        SourceError: folds that are no whole numbers, all of them in one message.
    """
    rows = Rows(table_of(rows))
    listed = Columns(rows.table).of_sources(table)
    changed, wrong = [], WrongRows("subset table")
    for row in rows.taken(np.flatnonzero(listed)):
        cell = table[row.source_id][0]
        fold = "" if is_empty(cell.get("fold", "")) else cell["fold"]
        with wrong.noted():
            changed.append(
                replace(
                    row,
                    subset=row.subset if is_empty(cell.get("subset", "")) else cell["subset"],
                    fold=integer(fold, f"subset table, clip {row.source_id}") if fold else row.fold,
                )
            )
    wrong.check()
    return rows.replaced(listed, rows_to_table(changed), ("subset", "fold"))


def labels_of(rows: Iterable[IndexRow]) -> set[str]:
    """Every label of some clips."""
    return set(LabelColumns.of(rows).names)


def class_list(
    rows: Sequence[IndexRow], given: Sequence[str] | None, known: Sequence[str] | None
) -> tuple[str, ...] | None:
    """The classes: those given, else those known if they are enough, else all labels, sorted.

    Raises:
        RelabelError: a clip has a label that is not among those given, or one is given twice.
    """
    labels = labels_of(rows)
    if given is None:
        if known is not None and labels <= set(known):
            return tuple(known)
        found = LabelColumns.of(rows)
        labelled = found.has_weak.any() or found.has_events.any()
        return tuple(sorted(labels)) if labelled else None
    given = tuple(map(nfc, given))
    if doubled := [repr(name) for name, count in Counter(given).items() if count > 1]:
        raise RelabelError(f"the class {told(doubled)} is given twice; expected each once")
    if unknown := sorted(labels - set(given)):
        counts = LabelColumns.of(rows).clip_counts()
        names = [f"{_nearest(label, given)} ({counts[label]} clips)" for label in unknown]
        raise RelabelError(
            f"{len(unknown)} labels are not among the {len(given)} classes: {told(names)}; add "
            "them to --classes, or map them with --mapping"
        )
    return tuple(given)


def _nearest(label: str, known: Iterable[str]) -> str:
    names = list(known)
    exact = [name for name in names if name.casefold() == label.casefold()]
    near = exact or get_close_matches(label, names, n=3)
    return f"{label!r}" + (f" (nearest: {', '.join(map(repr, near))})" if near else "")
