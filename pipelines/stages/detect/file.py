"""The events of one audio file, which streams through: no step holds more than a few windows.

Memory does not grow with the length of a file, but for the events that are found in it; and, where
boxes or a clip mask look at all of it, for its scores.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from pipelines.stages.detect.formats import DetectedEvent, FileEvents
from pipelines.stages.detect.inputs import opened
from pipelines.stages.detect.settings import DetectSettings
from pmam.events.event import frame_end_s
from pmam.events.overlap_add import Windows, split
from pmam.events.streaming import Floats, detected
from pmam.models.detector import FrameDetector
from pmam.models.window_scores import window_scores
from shards.audio.decoding import AudioError, blocks, probe


def detect_file(
    detector: FrameDetector,
    file: str,
    settings: DetectSettings,
    tell: Callable[[int], None] | None = None,
) -> FileEvents:
    """The events of one file, sorted by onset, offset and label.

    Args:
        detector: is put into evaluation mode.
        file: a path or URL.
        settings: windows, and post-processing other than the detector's.
        tell: is called, on the way, with how many more percent of the file are done.

    Raises:
        AudioError: the file cannot be read as audio, holds none, or makes the detector give NaN.
        OSError: there is no such file, or reading it failed.
    """
    encoder = detector.eval().encoder
    windows = Windows.of(settings.window_s, settings.overlap_s, encoder.hop_s)
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
        postprocess = settings.applied(detector.postprocess)
        events = [
            DetectedEvent(
                file=file,
                onset_s=run.first * encoder.hop_s,
                # The last frame may be longer than what is left of the file.
                offset_s=frame_end_s(run.end - 1, encoder.hop_s, end_s),
                label=detector.classes[run.column],
                score=run.peak,
            )
            for run in detected(scores, detector.classes, encoder.hop_s, postprocess)
        ]
    return FileEvents(
        file=file,
        events=tuple(sorted(events, key=lambda e: (e.onset_s, e.offset_s, e.label))),
        low_rate_hz=encoder.lacking_rate_hz(info.sample_rate_hz),
    )


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


def attempt(
    detector: FrameDetector,
    file: str,
    settings: DetectSettings,
    tell: Callable[[int], None] | None = None,
) -> FileEvents:
    """The events of a file, or why there are none to tell."""
    try:
        return detect_file(detector, file, settings, tell)
    except (AudioError, OSError) as error:
        text = " ".join(str(error).split())
        return FileEvents(file=file, error=text if file in text else f"{file}: {text}")
