"""What systems say of clips: frame scores or events, ours and others'."""

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
from pyarrow.fs import FileType

from cluster.storage.filesystems import absolute, filesystem
from pipelines.inference.frame_job import open_frames
from pipelines.runtime.errors import MissingFileError, PipelineError
from pipelines.runtime.stage import DONE, record_of
from pipelines.runtime.urls import store
from pipelines.stages.evaluate.clip_names import plain
from pipelines.stages.evaluate.places import KINDS, NEW_FORM
from pipelines.stages.evaluate.truth import content_of
from pmam.events.event import Event, FloatArray, uniform_edges_s
from pmam.events.settings import PostprocessSettings
from pmam.settings import from_json
from shards.annotations.delimited import header
from shards.annotations.event import AnnotatedFile, AnnotationError
from shards.annotations.format import Content
from shards.annotations.registry import read, recognise
from shards.clip import nfc
from shards.errors import told
from shards.io.store import Store
from shards.manifest import MANIFEST

AS_THEY_ARE = PostprocessSettings(median_s=0.0)
Scores = npt.NDArray[np.floating]
log = logging.getLogger("pmam")


@dataclass(frozen=True, kw_only=True)
class FrameOutput:
    """Frame scores of clips.

    Args:
        name: what results call it.
        classes: in NFC, in the order of the columns.
        clips: as it names them.
        read: a clip's scores `(frames, classes)` and frame edges `(frames + 1,)` in seconds; of
            equally long frames, their length alone, and the last ends with the clip.
        postprocess: that of the detector, where it is known.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[str, ...]
    read: Callable[[str], tuple[Scores, FloatArray | float]]
    postprocess: PostprocessSettings = AS_THEY_ARE


@dataclass(frozen=True, kw_only=True)
class EventOutput:
    """Detected events of clips, at one or several operating points."""

    name: str
    classes: tuple[str, ...]
    points: Mapping[str, Mapping[str, list[Event]]]  # by operating point and clip

    @property
    def clips(self) -> tuple[str, ...]:
        """Those that any operating point names."""
        return tuple(dict.fromkeys(clip for point in self.points.values() for clip in point))


Output = FrameOutput | EventOutput


def read_output(url: str) -> Output:
    """What is at a URL, by what it holds.

    Raises:
        PipelineError, AnnotationError, FrameError: it is no output, or cannot be read.
    """
    name = absolute(url).rstrip("/").rpartition("/")[2]
    source, path = filesystem(url)
    kind = source.get_file_info(path).type
    if kind == FileType.NotFound:
        raise MissingFileError(f"{url}: no such scores; expected {KINDS}: {NEW_FORM}")
    if kind == FileType.File:
        parent, _, file = path.rpartition("/")
        folder, files = Store(source, parent or "/"), [file]
    else:
        folder = store(url)
        if folder.size(MANIFEST) is not None:
            raise PipelineError(f"{url}: a dataset, and no scores; expected {KINDS}: {NEW_FORM}")
        if folder.size(DONE) is not None:
            return _ours(url, name)
        files = [each for each in folder.names() if not PurePosixPath(each).name.startswith(".")]
    if npz := [file for file in files if file.lower().endswith(".npz")]:
        return _arrays(folder, npz, name)
    contents = {file: content_of(folder, file) for file in files}
    tables = {file: separator for file, c in contents.items() if (separator := _score_table(c))}
    events = [file for file in files if file not in tables and recognise(contents[file])]
    if tables and events:
        raise PipelineError(
            f"{url}: {len(tables)} score tables such as {min(tables)} and {len(events)} tables of "
            f"events such as {events[0]}; expected one kind: put them in two folders"
        )
    if not tables and not events:
        raise PipelineError(f"{url}: no scores here; expected {KINDS}: {NEW_FORM}")
    if strange := [file for file in files if file not in tables and file not in events]:
        log.warning("%s: left out, no scores: %s", url, told(strange))
    if tables:
        return _score_tables(folder, contents, tables, name)
    return _events({file: contents[file] for file in events}, name)


def _ours(url: str, name: str) -> FrameOutput:
    """What `pmam score` wrote."""
    scored = record_of(url)["result"]
    if "classes" not in scored or "outputs" not in scored:
        raise PipelineError(
            f"{url}: the results of another stage than score; expected {KINDS}: {NEW_FORM}"
        )
    if "postprocess" not in scored:
        log.warning(
            "%s: scores of an older version, which do not tell the detector's post-processing; "
            "evaluated with the defaults: score the clips again, or choose by flags",
            url,
        )
    frames = open_frames(url)
    return FrameOutput(
        name=name,
        classes=tuple(map(nfc, scored["classes"])),
        clips=tuple(frames),
        read=lambda clip: (frames.read(clip), frames.spec.hop_s),
        postprocess=from_json(PostprocessSettings, scored.get("postprocess", {})),
    )


def _score_table(content: Content) -> str | None:
    """The separator of a table of scores, by its header; None of any other file."""
    for separator in ("\t", ","):
        try:
            cells = [cell.lower() for cell in header(content, separator)]
        except AnnotationError:  # no text
            return None
        if cells[:2] == ["onset", "offset"] and len(cells) > 2:
            labelled = {"event_label", "label", "filename", "class"} & set(cells)
            return None if labelled else separator
    return None


def _clip_of(file: str) -> str:
    return plain(file.rpartition(".")[0].removesuffix(".scores"))


def _score_tables(
    folder: Store, contents: Mapping[str, Content], tables: Mapping[str, str], name: str
) -> FrameOutput:
    """A table of each clip, as sed_scores_eval and the baselines of DCASE write them."""
    files = _by_clip(tables, folder)
    first = next(iter(files.values()))
    classes = _head(contents[first], tables[first])
    for file in tables:
        if (found := _head(contents[file], tables[file])) != classes:
            raise PipelineError(
                f"{folder.path(file)}: got the classes {', '.join(found)}; expected those of "
                f"{first}: {', '.join(classes)}"
            )

    def read_clip(clip: str) -> tuple[Scores, FloatArray]:
        file = files[clip]
        return _numbers(content_of(folder, file), tables[file])

    return FrameOutput(name=name, classes=classes, clips=tuple(files), read=read_clip)


def _by_clip(files: Mapping[str, Any] | list[str], folder: Store) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in files:
        clip = _clip_of(file)
        if clip in found:
            raise PipelineError(
                f"{folder.root}: {found[clip]} and {file} are of one clip; expected one file each"
            )
        found[clip] = file
    return found


def _head(content: Content, separator: str) -> tuple[str, ...]:
    cells = [nfc(cell) for cell in header(content, separator)][2:]
    if twice := sorted({cell for cell in cells if cells.count(cell) > 1}):
        raise PipelineError(f"{content.path}: got the class {twice[0]!r} twice; expected it once")
    return tuple(cells)


def _numbers(content: Content, separator: str) -> tuple[Scores, FloatArray]:
    try:
        table = pacsv.read_csv(
            io.BytesIO(content.text.encode()),
            parse_options=pacsv.ParseOptions(delimiter=separator),
        )
    except pa.ArrowInvalid as error:
        raise PipelineError(
            f"{content.path}: no readable table ({str(error).splitlines()[0]}): correct it"
        ) from error
    if table.num_rows == 0:
        raise PipelineError(f"{content.path}: no frame; expected at least one row")
    for column in table.columns:
        if not pa.types.is_floating(column.type) and not pa.types.is_integer(column.type):
            head = table.column_names[table.columns.index(column)]
            raise PipelineError(
                f"{content.path}: the column {head!r} holds other than numbers; expected seconds "
                "and scores: correct it"
            )
    columns = [column.to_numpy().astype(np.float64) for column in table.columns]
    onset_s, offset_s, scores = columns[0], columns[1], np.stack(columns[2:], axis=1)
    return scores, checked_edges(np.append(onset_s, offset_s[-1]), offset_s, content.path)


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
            f"of some length: sort the rows ({counted_rows(len(back))})"
        )
    apart = np.flatnonzero(np.abs(offset_s - edges_s[1:]) > 1e-6)
    if len(apart):
        raise PipelineError(
            f"{path} row {apart[0] + 2}: a frame ends at {offset_s[apart[0]]:g} s and the next "
            f"begins at {edges_s[apart[0] + 1]:g} s; expected no gaps and no overlaps "
            f"({counted_rows(len(apart))})"
        )
    return edges_s


def counted_rows(count: int) -> str:
    """`1 such row`, `3 such rows`."""
    return f"{count} such row{'' if count == 1 else 's'}"


def _arrays(folder: Store, files: list[str], name: str) -> FrameOutput:
    """NumPy's npz: a file of each clip, or one file of all."""
    first = _npz(folder, files[0])
    if "classes" not in first:
        raise PipelineError(
            f"{folder.path(files[0])}: got the arrays {', '.join(first)}; expected classes, and "
            "scores with edges_s or hop_s; or an array for each clip with hop_s"
        )
    classes = tuple(nfc(str(each)) for each in first["classes"])
    if len(files) == 1 and "scores" not in first:
        clips = {key: value for key, value in first.items() if key not in ("classes", "hop_s")}
        if "hop_s" not in first:
            raise PipelineError(f"{folder.path(files[0])}: no hop_s; expected seconds per frame")
        hop_s = float(first["hop_s"])
        return FrameOutput(
            name=name, classes=classes, clips=tuple(clips), read=lambda clip: (clips[clip], hop_s)
        )
    by_clip = _by_clip(files, folder)

    def read_clip(clip: str) -> tuple[Scores, FloatArray | float]:
        path = folder.path(by_clip[clip])
        arrays = _npz(folder, by_clip[clip])
        if "scores" not in arrays or not {"edges_s", "hop_s"} & arrays.keys():
            raise PipelineError(
                f"{path}: got the arrays {', '.join(arrays)}; expected scores, classes, and "
                "edges_s or hop_s"
            )
        if (found := tuple(nfc(str(each)) for each in arrays.get("classes", ()))) != classes:
            raise PipelineError(
                f"{path}: got the classes {', '.join(found)}; expected those of {files[0]}: "
                f"{', '.join(classes)}"
            )
        scores = np.asarray(arrays["scores"])
        if "edges_s" not in arrays:
            return scores, float(arrays["hop_s"])
        edges_s = np.asarray(arrays["edges_s"], dtype=np.float64)
        return scores, checked_edges(edges_s, edges_s[1:], path)

    return FrameOutput(name=name, classes=classes, clips=tuple(by_clip), read=read_clip)


def _npz(folder: Store, file: str) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(folder.read(file)), allow_pickle=False) as opened:
            return {key: opened[key] for key in opened.files}
    except (ValueError, OSError) as error:
        raise PipelineError(
            f"{folder.path(file)}: no readable npz ({error}); expected arrays of numbers and names"
        ) from error


def _events(contents: Mapping[str, Content], name: str) -> EventOutput:
    """Tables of events: one is one operating point."""
    points = {file: _detected(read(content), content.path) for file, content in contents.items()}
    labels = {e.label for point in points.values() for events in point.values() for e in events}
    return EventOutput(name=name, classes=tuple(sorted(labels)), points=points)


def _detected(files: list[AnnotatedFile], path: str) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    wrong = []
    for file in files:
        of_clip = found.setdefault(plain(file.file), [])
        for each in file.events:
            label = nfc(each.label.strip())
            if not label or each.onset_s >= each.offset_s:
                wrong.append(f"{file.file}: {each.label!r} from {each.onset_s} to {each.offset_s}")
            else:
                of_clip.append(Event(onset_s=each.onset_s, offset_s=each.offset_s, label=label))
    if wrong:
        raise PipelineError(
            f"{path}: {len(wrong)} events without a label or a length: {told(wrong)}; expected a "
            "class, and an onset before the offset"
        )
    return found


def edges_of(edges: FloatArray | float, frames: int) -> FloatArray:
    """Frame edges `(frames + 1,)` of edges or of a length of frames."""
    return uniform_edges_s(frames, edges) if isinstance(edges, float) else edges
