"""detect: events of any audio file, of any length, sample rate and number of channels."""

import contextlib
import functools
import json
import logging
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from rich.markup import escape

from cluster.storage.filesystems import absolute
from pipelines.inference.layers import load_detector
from pipelines.inference.sample_rate_check import low_rate
from pipelines.runtime.actors import through_actors
from pipelines.runtime.pool import Pool
from pipelines.runtime.progress import bar
from pipelines.runtime.reach import joined
from pipelines.runtime.urls import store
from pipelines.stages.detect.file import attempt
from pipelines.stages.detect.formats import FileEvents, chosen_format, write_each, write_together
from pipelines.stages.detect.inputs import OnError, audio_files
from pipelines.stages.detect.settings import DetectError, DetectSettings
from pmam.models.detector import FrameDetector
from pmam.settings import from_json

IN_PROCESS_FILES = 16  # more are a Ray job, whose start takes as long as a few files do
RAY_BLOCKS = 1000  # at most; a block of one file each would cost more than short files
log = logging.getLogger("pmam")


def detect(
    files: Sequence[str], checkpoint: str, settings: DetectSettings, on_error: OnError = "fail"
) -> Iterator[FileEvents]:
    """The events of each file, in the order of the files, each as soon as it is known.

    A few files are done in this process, many as a Ray Data job. Checkpoint, settings and that
    the files are there are checked before this function returns.

    Args:
        files: paths or URLs of audio files, or of folders of them.
        checkpoint: URL of a detector.
        settings: windows, and post-processing other than the detector's.
        on_error: at a file that is missing or cannot be read, end with an error after the files
            before it; or skip it: its result says why, and so does a warning in the log.

    Raises:
        CheckpointError, InputError, SourceError: no detector is there; as `audio_files`.
        DetectError: a setting does not fit; or, while iterating, a file that cannot be read.
    """
    names = audio_files(files, on_error)
    detector = load_detector(checkpoint)
    try:
        settings.applied(detector.postprocess).check(detector.classes)
    except ValueError as error:
        raise DetectError(str(error)) from error
    detector.encoder.check_length(settings.window_s, "window_s")
    if len(names) <= IN_PROCESS_FILES:
        return _checked(_in_process(detector, names, settings), on_error)
    return _checked(_on_ray(absolute(checkpoint), names, settings), on_error)


def write_detections(
    files: Sequence[str],
    checkpoint: str,
    settings: DetectSettings,
    *,
    format_name: str = "tsv",
    output_dir: str | None = None,
    on_error: OnError = "fail",
    out: TextIO | None = None,
) -> list[str]:
    """Detect, and write events as text; returns the errors of files that were skipped.

    An error in the middle leaves the text with the files before it: a JSON list without its end.

    Args:
        files, checkpoint, settings, on_error: as for `detect`.
        format_name: one of `FORMATS`.
        output_dir: a folder or URL that gets a text for each file: `<file>.tsv` and so on, in the
            sub-folders that the files have; without it, one text of all files goes to `out`.
        out: by default the standard output.

    Raises:
        InputError, SourceError, CheckpointError, DetectError: as `detect`.
        FormatError: no such format, or one that tells a single file's events for several files.
    """
    names = audio_files(files, on_error)
    text_format = chosen_format(format_name, len(names), output_dir is not None)
    # Taken before any progress bar is up, which would put its own stream there.
    out = sys.stdout if out is None else out
    results = detect(names, checkpoint, settings, on_error)
    if output_dir is None:
        return write_together(results, text_format, out)
    return write_each(results, text_format, store(absolute(output_dir)), names)


def _checked(results: Generator[FileEvents, None, None], on_error: OnError) -> Iterator[FileEvents]:
    with contextlib.closing(results):  # ends a Ray job that an error leaves behind
        low = 0
        for found in results:
            if found.error is not None:
                if on_error == "fail":
                    raise DetectError(found.error)
                log.warning("skipped %s", found.error)
            if found.low_rate_hz is not None:
                low += 1
                if low == 1:
                    log.warning("%s: %s", found.file, low_rate(found.low_rate_hz))
            yield found
        if low > 1:
            log.warning("so have %d other files a low rate", low - 1)


def _in_process(
    detector: FrameDetector, files: Sequence[str], settings: DetectSettings
) -> Generator[FileEvents, None, None]:
    for file in files:
        with bar("detect (%)", 100) as advance:
            tell = functools.partial(_noted, advance, escape(file))
            found = attempt(detector, file, settings, tell)
        yield found  # with no bar up: what is written now meets no half-drawn line


def _noted(advance: Callable[[int, str], None], note: str, more: int) -> None:
    advance(more, note)


class _Worker:
    """A detector in a process of its own; text in and out, as file names need not be UTF-8."""

    def __init__(self, checkpoint: str, settings: DetectSettings) -> None:
        self.detector, self.settings = load_detector(checkpoint), settings

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        found = attempt(self.detector, json.loads(row["file"]), self.settings)
        return {"position": row["position"], "found": json.dumps(asdict(found))}


def _on_ray(
    checkpoint: str, files: Sequence[str], settings: DetectSettings
) -> Generator[FileEvents, None, None]:
    with (
        joined(None, reads=(checkpoint, *files), writes=()),
        bar("detect (files)", len(files)) as advance,
    ):
        rows = [{"position": n, "file": json.dumps(file)} for n, file in enumerate(files)]
        actor = {"checkpoint": checkpoint, "settings": settings}
        found = through_actors(rows, _Worker, actor, Pool(), most_blocks=RAY_BLOCKS)
        waiting: dict[int, FileEvents] = {}  # done before their turn
        due = 0
        for row in found:
            waiting[row["position"]] = from_json(FileEvents, json.loads(row["found"]))
            advance(1, "")
            while due in waiting:
                yield waiting.pop(due)
                due += 1
