"""detect: events of any audio file, of any length, sample rate and number of channels."""

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.markup import escape

from cluster.resources import room
from cluster.session import is_running, session
from cluster.storage.urls import absolute
from pipelines.inference.audio_inputs import AudioInput, OnError
from pipelines.inference.layers import load_detector
from pipelines.inference.readable import check_readable
from pipelines.inference.sample_rate_check import low_rate
from pipelines.runtime.workers.nodes import left_out
from pipelines.runtime.workers.pool import Pool
from pipelines.runtime.workers.progress import bar
from pipelines.runtime.workers.reach import joined
from pipelines.runtime.workers.rows import through_workers
from pipelines.stages.detect.file import ScoreTarget, attempt
from pipelines.stages.detect.parts import PartScores, cuts, joined_events, part_scores
from pipelines.stages.detect.results import FileEvents
from pipelines.stages.detect.settings import DetectError, DetectSettings
from pmam.models.detector import FrameDetector
from pmam.models.window_scores import Part

IN_PROCESS_FILES = 16  # more are a Ray job, whose start takes as long as a few files do
RAY_BLOCKS = 1000  # at most; a block of one file each would cost more than short files
Task = tuple[AudioInput, ScoreTarget | None]
log = logging.getLogger("pmam")


def checked_detector(checkpoint: str, settings: DetectSettings) -> FrameDetector:
    """The detector, if the settings fit it.

    Raises:
        CheckpointError: there is none.
        DetectError: a setting does not fit.
    """
    detector = load_detector(checkpoint)
    try:
        settings.applied(detector.postprocess).check(detector.classes)
    except ValueError as error:
        raise DetectError(str(error)) from error
    detector.encoder.check_length(settings.window_s, "window_s")
    return detector


def detect(
    tasks: Sequence[Task],
    checkpoint: str,
    detector: FrameDetector,
    settings: DetectSettings,
    on_error: OnError = "fail",
    *,
    in_order: bool = True,
) -> Iterator[FileEvents]:
    """The events of each recording, each as soon as it is known.

    A few files are done in this process, many as a Ray Data job; so are long ones on a cluster,
    where each may be shared by several workers.

    Args:
        tasks: recordings, and where their scores go.
        checkpoint: URL of the detector, for other processes.
        detector: as `checked_detector` gave it.
        settings: windows, and post-processing other than the detector's.
        on_error: at a file that is missing or cannot be read, end with an error; or skip it: its
            result says why, and so does a warning in the log.
        in_order: results come in the order of the tasks.

    Raises:
        DetectError: files that cannot be opened as audio, all in one message; while iterating, one
            that turns out to be damaged.
    """
    if on_error == "fail" and len(tasks) > 1:
        check_readable([audio for audio, _ in tasks], DetectError)
    if len(tasks) <= IN_PROCESS_FILES and not (is_running() and _cuts(tasks, detector, settings)):
        return _checked(_in_process(detector, tasks, settings), on_error)
    return _checked(_on_ray(absolute(checkpoint), detector, tasks, settings, in_order), on_error)


def _checked(results: Generator[FileEvents, None, None], on_error: OnError) -> Iterator[FileEvents]:
    with contextlib.closing(results):  # ends a Ray job that an error leaves behind
        low = 0
        for found in results:
            if found.error is not None:
                if on_error == "fail":
                    raise DetectError(found.error)
                log.warning("skipped %s", found.error)
            if found.warning is not None:
                log.warning("%s", found.warning)
            if found.low_rate_hz is not None:
                low += 1
                if low == 1:
                    log.warning("%s: %s", found.file, low_rate(found.low_rate_hz))
            yield found
        if low > 1:
            log.warning("so have %d other files a low rate", low - 1)


def _in_process(
    detector: FrameDetector, tasks: Sequence[Task], settings: DetectSettings
) -> Generator[FileEvents, None, None]:
    for audio, scores_to in tasks:
        with bar("detect (%)", 100) as advance:
            tell = functools.partial(_noted, advance, escape(audio.name))
            found = attempt(detector, audio, settings, tell, scores_to)
        yield found  # with no bar up: what is written now meets no half-drawn line


def _noted(advance: Callable[[int, str], None], note: str, more: int) -> None:
    advance(more, note)


class _Worker:
    """A detector in a process of its own; text in and out, as file names need not be UTF-8."""

    def __init__(self, checkpoint: str, settings: DetectSettings) -> None:
        self.detector, self.settings = load_detector(checkpoint), settings

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        audio_fields, target, part = json.loads(row["task"])
        audio = AudioInput(**audio_fields)
        place = {"position": row["position"], "number": row["number"]}
        if part is None:
            scores_to = None if target is None else ScoreTarget(**target)
            found = attempt(self.detector, audio, self.settings, scores_to=scores_to)
            return {**place, "found": json.dumps(found.to_json()), "scores": b""}
        scored = part_scores(self.detector, audio, self.settings, Part(*part))
        told = {"error": scored.error, "warning": scored.warning}
        return {**place, "found": json.dumps(told), "scores": scored.values.tobytes()}


def _cuts(
    tasks: Sequence[Task], detector: FrameDetector, settings: DetectSettings
) -> dict[int, list[Part]]:
    """What workers share of the recordings; asks the cluster that is joined."""
    workers = Pool().size(len(tasks) * 1000, room(left_out())).most
    return cuts([audio for audio, _ in tasks], detector, settings, workers)


def _on_ray(
    checkpoint: str,
    detector: FrameDetector,
    tasks: Sequence[Task],
    settings: DetectSettings,
    in_order: bool,
) -> Generator[FileEvents, None, None]:
    writes = sorted({target.url for _, target in tasks if target is not None})
    with (
        joined(None, reads=(checkpoint, *{audio.url for audio, _ in tasks}), writes=writes),
        session(),
        bar("detect (files)", len(tasks)) as advance,
    ):
        parts = _cuts(tasks, detector, settings)
        rows = [
            {
                "position": n,
                "number": number,
                "task": json.dumps([asdict(a), None if s is None else asdict(s), part]),
            }
            for n, (a, s) in enumerate(tasks)
            for number, part in enumerate(parts.get(n, [None]))
        ]
        arguments = {"checkpoint": checkpoint, "settings": settings}
        scored: dict[int, dict[int, PartScores]] = {n: {} for n in parts}
        waiting: dict[int, FileEvents] = {}  # done before their turn
        due = 0
        for row in through_workers(rows, _Worker, arguments, Pool(), most_blocks=RAY_BLOCKS):
            n = row["position"]
            values = json.loads(row["found"])
            if n in parts:
                frames = np.frombuffer(row["scores"], np.float32).reshape(-1, len(detector.classes))
                scored[n][row["number"]] = PartScores(values=frames, **values)
                if len(scored[n]) < len(parts[n]):
                    continue
                audio, target = tasks[n]
                in_turn = [of_part for _, of_part in sorted(scored.pop(n).items())]
                found = joined_events(detector, audio, settings, target, in_turn)
            else:
                found = FileEvents.from_json(values)
            advance(1, "")
            if not in_order:
                yield found
                continue
            waiting[n] = found
            while due in waiting:
                yield waiting.pop(due)
                due += 1
