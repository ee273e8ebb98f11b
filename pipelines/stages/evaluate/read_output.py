"""Outputs of systems, ours and others', by what is at a URL."""

import logging
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from pyarrow.fs import FileType

from cluster.storage.filesystems import filesystem
from cluster.storage.urls import absolute
from pipelines.inference.frame_job import open_frames
from pipelines.runtime.errors import MissingFileError, PipelineError
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import DONE, record_of
from pipelines.runtime.words import counted
from pipelines.stages.evaluate.clip_names import plain
from pipelines.stages.evaluate.outputs import EventOutput, FrameOutput, Output, Scores
from pipelines.stages.evaluate.places import KINDS, NEW_FORM
from pipelines.stages.evaluate.score_arrays import arrays
from pipelines.stages.evaluate.score_tables import score_tables, separator_of
from pipelines.stages.evaluate.truth import content_of
from pmam.events.event import Event
from pmam.events.settings import PostprocessSettings
from pmam.settings import from_json
from shards.annotations.event import AnnotatedFile, AnnotationError
from shards.annotations.format import Content
from shards.annotations.registry import read, recognise
from shards.clip import nfc
from shards.errors import Faults, told
from shards.frames.frame_set import FrameSet
from shards.io.store import Store
from shards.manifest import MANIFEST

log = logging.getLogger("pmam")

RELEASE_BYTES = 2**26  # of scores that were read; in the file they take half as much, or less


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
        return arrays(folder, npz, name)
    contents = {file: content_of(folder, file) for file in files}
    tables = {file: separator for file, c in contents.items() if (separator := separator_of(c))}
    if tables and (empty := [file for file in files if not contents[file].data.strip()]):
        raise PipelineError(
            f"{url}: {counted(len(empty), 'file')} of {len(files)} with nothing inside "
            f"({told(empty)}); expected a score table of each clip: write them again"
        )
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
        return score_tables(folder, contents, tables, name)
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
        read=_reader(frames),
        postprocess=from_json(PostprocessSettings, scored.get("postprocess", {})),
    )


def _reader(frames: FrameSet) -> Callable[[str], tuple[Scores, float]]:
    """Reads each clip once, as `HeldScores` does, and lets go of what it read now and then."""
    passed = 0

    def read_clip(clip: str) -> tuple[Scores, float]:
        nonlocal passed
        scores = frames.read(clip)
        passed += scores.nbytes
        if passed > RELEASE_BYTES:
            frames.release()
            passed = 0
        return scores, frames.spec.hop_s

    return read_clip


def _events(contents: Mapping[str, Content], name: str) -> EventOutput:
    """Tables of events: one is one operating point."""
    points, faults = dict[str, dict[str, list[Event]]](), Faults(AnnotationError, PipelineError)
    for file, content in contents.items():
        with faults.noted():
            points[file] = _detected(read(content), content.path)
    faults.check()
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
