"""Score tables as sed_scores_eval and the baselines of DCASE write them: one of each clip."""

import io
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from pipelines.runtime.errors import PipelineError
from pipelines.stages.evaluate.clip_names import plain
from pipelines.stages.evaluate.outputs import FrameOutput, Scores
from pipelines.stages.evaluate.truth import content_of
from pmam.events.event import FloatArray
from shards.annotations.delimited import header, number, rows
from shards.annotations.event import AnnotationError
from shards.annotations.format import Content
from shards.clip import nfc
from shards.errors import Faults, told
from shards.io.store import Store
from shards.tables.separated import numbered

TIMES = ("onset", "offset")


def separator_of(content: Content) -> str | None:
    """The separator of a table of scores, by its header; None of any other file."""
    for separator in ("\t", ","):
        try:
            cells = [cell.lower() for cell in header(content, separator)]
        except AnnotationError:  # no text
            return None
        if tuple(cells[:2]) == TIMES and len(cells) > 2:
            labelled = {"event_label", "label", "filename", "class"} & set(cells)
            return None if labelled else separator
    return None


def _clip_of(file: str) -> str:
    return plain(file.rpartition(".")[0].removesuffix(".scores"))


def score_tables(
    folder: Store, contents: Mapping[str, Content], tables: Mapping[str, str], name: str
) -> FrameOutput:
    """A table of each clip, as sed_scores_eval and the baselines of DCASE write them."""
    files = by_clip(tables, folder)
    first = next(iter(files.values()))
    classes = _head(contents[first], tables[first])
    faults = Faults(PipelineError)
    for file in tables:
        with faults.noted():
            if (found := _head(contents[file], tables[file])) != classes:
                raise PipelineError(
                    f"{folder.path(file)}: got the classes {', '.join(found)}; expected those of "
                    f"{first}: {', '.join(classes)}"
                )
    faults.check()

    def read_clip(clip: str) -> tuple[Scores, FloatArray]:
        file = files[clip]
        return _numbers(content_of(folder, file), tables[file])

    return FrameOutput(name=name, classes=classes, clips=tuple(files), read=read_clip)


def by_clip(files: Iterable[str], folder: Store) -> dict[str, str]:
    """Files by the name of their clip.

    Raises:
        PipelineError: two are of one clip.
    """
    found: dict[str, str] = {}
    doubled = []
    for file in files:
        clip = _clip_of(file)
        if clip in found:
            doubled.append(f"{found[clip]} and {file}")
        found[clip] = file
    if doubled:
        raise PipelineError(
            f"{folder.root}: {told(doubled)} are of one clip; expected one file each"
        )
    return found


def _head(content: Content, separator: str) -> tuple[str, ...]:
    cells = [nfc(cell) for cell in header(content, separator)][2:]
    if twice := sorted({cell for cell in cells if cells.count(cell) > 1}):
        raise PipelineError(f"{content.path}: got the class {twice[0]!r} twice; expected it once")
    return tuple(cells)


def _numbers(content: Content, separator: str) -> tuple[Scores, FloatArray]:
    if len(numbered(content.text)) < 2:
        raise PipelineError(f"{content.path}: no frame; expected at least one row")
    try:
        table = pacsv.read_csv(
            io.BytesIO(content.text.encode()),
            parse_options=pacsv.ParseOptions(delimiter=separator),
        )
    except pa.ArrowInvalid as error:
        _check_rows(content, separator)
        raise PipelineError(
            f"{content.path}: no readable table ({str(error).splitlines()[0]}): correct it"
        ) from error
    if not all(map(_holds_numbers, table.columns)):
        _check_rows(content, separator)
        wrong = [
            name
            for name, column in zip(table.column_names, table.columns, strict=True)
            if not _holds_numbers(column)
        ]
        raise PipelineError(
            f"{content.path}: the columns {told(wrong)} hold other than numbers; expected seconds "
            "and scores: correct it"
        )
    columns = [column.to_numpy().astype(np.float64) for column in table.columns]
    onset_s, offset_s, scores = columns[0], columns[1], np.stack(columns[2:], axis=1)
    return scores, checked_edges(np.append(onset_s, offset_s[-1]), offset_s, content.path)


def _holds_numbers(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_floating(column.type) or pa.types.is_integer(column.type))


def _check_rows(content: Content, separator: str) -> None:
    """Refuse a table with all of its rows that hold other than numbers."""
    faults = Faults(AnnotationError)
    with faults.noted():
        for where, row in rows(content, separator):
            for name, cell in row.items():
                with faults.noted():
                    number(cell, where, name if name.lower() in TIMES else "score")
    faults.check()


def checked_edges(edges_s: FloatArray, offset_s: FloatArray, path: str) -> FloatArray:
    """Frame edges `(frames + 1,)`, of which each frame ends where the next begins.

    Raises:
        PipelineError: times that are negative, not in order, or leave gaps.
    """
    if not np.isfinite(edges_s).all() or edges_s[0] < 0:
        raise PipelineError(f"{path}: times that are negative or no numbers; expected seconds")
    back = np.flatnonzero(np.diff(edges_s) <= 0)
    if len(back):
        raise PipelineError(
            f"{path} row {min(back[0] + 3, len(edges_s))}: the time goes from "
            f"{edges_s[back[0]]:g} s to {edges_s[back[0] + 1]:g} s; expected frames in order, each "
            f"of some length: sort the rows ({_counted_rows(len(back))})"
        )
    apart = np.flatnonzero(np.abs(offset_s - edges_s[1:]) > 1e-6)
    if len(apart):
        raise PipelineError(
            f"{path} row {apart[0] + 2}: a frame ends at {offset_s[apart[0]]:g} s and the next "
            f"begins at {edges_s[apart[0] + 1]:g} s; expected no gaps and no overlaps "
            f"({_counted_rows(len(apart))})"
        )
    return edges_s


def _counted_rows(count: int) -> str:
    """`1 such row`, `3 such rows`."""
    return f"{count} such row{'' if count == 1 else 's'}"
