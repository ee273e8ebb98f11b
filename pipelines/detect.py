"""detect: events of any audio file, of any length, sample rate and number of channels.

A file streams through, and no step holds more than a few windows: memory does not grow with the
length of a file, but for the events that are found in it.
"""

import contextlib
import functools
import json
import logging
import math
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

import numpy as np
from rich.markup import escape

from cluster.session import session
from cluster.storage import absolute
from pipelines.audio_inputs import OnError, audio_files, opened
from pipelines.event_formats import (
    DetectedEvent,
    FileEvents,
    chosen_format,
    write_each,
    write_together,
)
from pipelines.models import load_detector
from pipelines.progress import bar
from pipelines.urls import store
from pmam.detector import Detector
from pmam.event_stream import Floats, runs, smoothed, window_scores
from pmam.postprocess import odd_frames
from pmam.settings import from_json
from pmam.windows import Windows, split
from shards.audio import AudioError, blocks, probe

IN_PROCESS_FILES = 16  # more are a Ray job, whose start takes as long as a few files do
RAY_BLOCKS = 1000  # at most; a block of one file each would cost more than short files
log = logging.getLogger("pmam")


class DetectError(ValueError):
    """Files or settings that nothing can be detected with; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class DetectSettings:
    """From audio to events.

    Args:
        threshold: an event is a run of frames with a smoothed probability above it.
        median_s: length of the median filter that smooths each class's probabilities.
        median_by_class_s: another length for some classes, by name.
        window_s: length of the windows that the model hears.
        overlap_s: how much neighbouring windows share; they fade into each other there.
        batch: windows that go through the model together.
    """

    threshold: float = 0.5
    median_s: float = 0.3
    median_by_class_s: dict[str, float] = field(default_factory=dict)
    window_s: float = 10.0
    overlap_s: float = 2.0
    batch: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise DetectError(f"threshold {self.threshold}: expected at least 0 and below 1")
        if not 0 <= self.overlap_s < self.window_s < math.inf:
            raise DetectError(
                f"windows of {self.window_s} s that overlap by {self.overlap_s} s: expected an "
                "overlap of at least 0 and below the window"
            )
        if self.batch < 1:
            raise DetectError(f"batch {self.batch}: expected at least 1 window")

    def median_frames(self, classes: Sequence[str], hop_s: float) -> list[int]:
        """Each class's median filter in frames, an odd number.

        Raises:
            ValueError: a name that is no class, or a length that is negative or not finite.
        """
        if unknown := sorted(self.median_by_class_s.keys() - set(classes)):
            raise DetectError(
                f"median of the class {unknown[0]!r}: expected one of {', '.join(classes)}"
            )
        widths_s = [self.median_by_class_s.get(name, self.median_s) for name in classes]
        return [odd_frames(width_s, hop_s) for width_s in widths_s]


def detect_file(
    detector: Detector,
    file: str,
    settings: DetectSettings,
    tell: Callable[[int], None] | None = None,
) -> list[DetectedEvent]:
    """The events of one file, sorted by onset, offset and label.

    Args:
        detector: is put into evaluation mode.
        file: a path or URL.
        settings: windows, smoothing and threshold.
        tell: is called, on the way, with how many more percent of the file are done.

    Raises:
        AudioError: the file cannot be read as audio, holds none, or makes the detector give NaN.
        OSError: there is no such file, or reading it failed.
    """
    encoder = detector.eval().backbone.encoder
    windows = Windows.of(settings.window_s, settings.overlap_s, encoder.hop_s)
    medians = settings.median_frames(detector.classes, encoder.hop_s)
    per_frame = round(encoder.hop_s * encoder.sample_rate_hz)
    with opened(file) as handle:
        info = probe(handle, file)
        end_s = info.num_samples / info.sample_rate_hz
        audio = blocks(
            handle, file, sample_rate_hz=encoder.sample_rate_hz, block_s=settings.window_s
        )
        pieces = split(audio, windows, per_frame)
        scores = window_scores(detector, pieces, windows.overlap, settings.batch)
        scores = _watched(scores, file, encoder.hop_s, end_s, tell)
        events = [
            DetectedEvent(
                file=file,
                onset_s=run.first * encoder.hop_s,
                # The last frame may be longer than what is left of the file.
                offset_s=min(run.end * encoder.hop_s, end_s),
                label=detector.classes[run.column],
                score=run.peak,
            )
            for run in runs(smoothed(scores, medians), settings.threshold)
        ]
    return sorted(events, key=lambda event: (event.onset_s, event.offset_s, event.label))


def _watched(
    scores: Iterable[Floats],
    file: str,
    hop_s: float,
    end_s: float,
    tell: Callable[[int], None] | None,
) -> Iterator[Floats]:
    """The same scores; tells how far it is, and refuses NaN."""
    done, percent = 0, 0
    for block in scores:
        if np.isnan(block).any():
            raise AudioError(
                f"{file}: the detector gives NaN after {done * hop_s:.2f} s; expected samples in "
                "[-1, 1]: scale or repair the file, or check the detector on others"
            )
        done += len(block)
        if tell is not None:
            before, percent = percent, min(100, int(100 * done * hop_s / end_s))
            tell(percent - before)
        yield block


def detect(
    files: Sequence[str], checkpoint: str, settings: DetectSettings, on_error: OnError = "fail"
) -> Iterator[FileEvents]:
    """The events of each file, in the order of the files, each as soon as it is known.

    A few files are done in this process, many as a Ray Data job. Checkpoint, settings and that
    the files are there are checked before this function returns.

    Args:
        files: paths or URLs of audio files, or of folders of them.
        checkpoint: URL of a detector.
        settings: windows, smoothing and threshold.
        on_error: at a file that is missing or cannot be read, end with an error after the files
            before it; or skip it: its result says why, and so does a warning in the log.

    Raises:
        CheckpointError, InputError, SourceError: no detector is there; as `audio_files`.
        DetectError: a setting does not fit; or, while iterating, a file that cannot be read.
    """
    names = audio_files(files, on_error)
    detector = load_detector(checkpoint)
    settings.median_frames(detector.classes, detector.backbone.encoder.hop_s)
    detector.backbone.encoder.check_length(settings.window_s, "window_s")
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


def _attempt(
    detector: Detector,
    file: str,
    settings: DetectSettings,
    tell: Callable[[int], None] | None = None,
) -> FileEvents:
    """The events of a file, or why there are none to tell."""
    try:
        return FileEvents(file=file, events=tuple(detect_file(detector, file, settings, tell)))
    except (AudioError, OSError) as error:
        text = " ".join(str(error).split())
        return FileEvents(file=file, error=text if file in text else f"{file}: {text}")


def _checked(results: Generator[FileEvents, None, None], on_error: OnError) -> Iterator[FileEvents]:
    with contextlib.closing(results):  # ends a Ray job that an error leaves behind
        for found in results:
            if found.error is not None:
                if on_error == "fail":
                    raise DetectError(found.error)
                log.warning("skipped %s", found.error)
            yield found


def _in_process(
    detector: Detector, files: Sequence[str], settings: DetectSettings
) -> Generator[FileEvents, None, None]:
    for file in files:
        with bar("detect (%)", 100) as advance:
            tell = functools.partial(_noted, advance, escape(file))
            found = _attempt(detector, file, settings, tell)
        yield found  # with no bar up: what is written now meets no half-drawn line


def _noted(advance: Callable[[int, str], None], note: str, more: int) -> None:
    advance(more, note)


class _Worker:
    """A detector in a process of its own; text in and out, as file names need not be UTF-8."""

    def __init__(self, checkpoint: str, settings: DetectSettings) -> None:
        self.detector, self.settings = load_detector(checkpoint), settings

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        found = _attempt(self.detector, json.loads(row["file"]), self.settings)
        return {"position": row["position"], "found": json.dumps(asdict(found))}


def _on_ray(
    checkpoint: str, files: Sequence[str], settings: DetectSettings
) -> Generator[FileEvents, None, None]:
    with session(), bar("detect (files)", len(files)) as advance:
        import ray.data

        rows = [{"position": n, "file": json.dumps(file)} for n, file in enumerate(files)]
        # A pool that takes every CPU would wait for ever on the task that feeds it.
        workers = min(len(files), max(1, int(ray.cluster_resources().get("CPU", 1)) - 1))
        dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), RAY_BLOCKS)).map(
            _Worker,
            fn_constructor_kwargs={"checkpoint": checkpoint, "settings": settings},
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        waiting: dict[int, FileEvents] = {}  # done before their turn
        due = 0
        for row in dataset.iter_rows():
            waiting[row["position"]] = from_json(FileEvents, json.loads(row["found"]))
            advance(1, "")
            while due in waiting:
                yield waiting.pop(due)
                due += 1
