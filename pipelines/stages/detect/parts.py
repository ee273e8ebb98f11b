"""Long recordings in parts, for several workers: joined, the events are those of one piece.

A part begins and ends where windows begin. Each worker decodes the recording from its start, so
that what the model hears is the same to the bit whatever the kind of file: decoding costs a small
part of what the model does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.inference.audio_inputs import AudioInput, opened
from pipelines.inference.readable import told_of
from pipelines.runtime.errors import USER_ERRORS, is_full
from pipelines.stages.detect.file import (
    ScoreTarget,
    events_of,
    kept,
    result_of,
    scores_of,
    seconds,
    watched,
    write_scores,
)
from pipelines.stages.detect.results import FileEvents
from pipelines.stages.detect.settings import DetectSettings
from pmam.events.overlap_add import Windows
from pmam.models.detector import FrameDetector
from pmam.models.window_scores import Floats, Part
from shards.audio.channels import ChannelMeter
from shards.audio.decoding import probe

PART_S = 1800.0  # of a recording at least
FILES_A_WORKER = 4  # more spread well enough whole


@dataclass(frozen=True, kw_only=True)
class PartScores:
    """The frame scores of a part `(frames, classes)`, or why there are none.

    `warning` is what the whole recording gives rise to, of its last part.
    """

    values: Floats
    error: str | None = None
    warning: str | None = None


def cuts(
    audio: Sequence[AudioInput], detector: FrameDetector, settings: DetectSettings, workers: int
) -> dict[int, list[Part]]:
    """The parts of recordings that are cut, by their place among all.

    Those are the ones that are longer than one worker's share of all, and than two times `PART_S`;
    none, where there are many for each worker, or where each channel is listened to by itself.
    """
    if workers < 2 or settings.channel == "each" or len(audio) > FILES_A_WORKER * workers:
        return {}
    lengths_s = [_length_s(each) for each in audio]
    least_s = max(PART_S, sum(lengths_s) / workers)
    found = {
        place: parts
        for place, length_s in enumerate(lengths_s)
        if len(parts := cut(length_s, least_s, detector, settings)) > 1
    }
    return found


def _length_s(audio: AudioInput) -> float:
    """How long a recording is; 0 of one that cannot be read, which its worker tells."""
    try:
        with opened(audio) as handle:
            return seconds(probe(handle, audio.name))
    except (*USER_ERRORS, OSError):
        return 0.0


def cut(
    length_s: float, least_s: float, detector: FrameDetector, settings: DetectSettings
) -> list[Part]:
    """Parts of about equal length, each of `least_s` or more.

    They begin with whole batches of windows, and the last one holds several windows, since the
    recording's last window is put back until it ends with it.
    """
    windows = Windows.of(settings.window_s, settings.overlap_s, detector.encoder.hop_s)
    step_s = (windows.frames - windows.overlap) * detector.encoder.hop_s
    count = int(length_s / least_s + 1e-9)
    each = max(4, -(-int(length_s / step_s) // max(count, 1)))
    each = -(-each // settings.batch) * settings.batch
    last = max(0, int(length_s / step_s) - 4)
    firsts = list(range(0, max(last, 1), each))[: max(count, 1)]
    return [Part(first, end) for first, end in zip(firsts, [*firsts[1:], None], strict=True)]


def part_scores(
    detector: FrameDetector, audio: AudioInput, settings: DetectSettings, part: Part
) -> PartScores:
    """The scores of a part, or why there are none."""
    encoder, name = detector.encoder, audio.name
    windows = Windows.of(settings.window_s, settings.overlap_s, encoder.hop_s)
    done = part.first * (windows.frames - windows.overlap)
    assert settings.channel != "each", "is not cut"
    meter = ChannelMeter()
    try:
        with opened(audio) as handle:
            end_s = seconds(probe(handle, name))
            scores = scores_of(detector, handle, name, settings, settings.channel, meter, part)
            values = np.concatenate(list(watched(scores, name, encoder.hop_s, end_s, done=done)))
    except (*USER_ERRORS, OSError) as error:
        if is_full(error):
            raise  # no file's fault
        nothing = np.zeros((0, len(detector.classes)), np.float32)
        return PartScores(values=nothing, error=told_of(name, error))
    whole_read = part.end is None
    warning = meter.warning(name, settings.channel) if whole_read else None
    return PartScores(values=values, warning=warning)


def joined_events(
    detector: FrameDetector,
    audio: AudioInput,
    settings: DetectSettings,
    scores_to: ScoreTarget | None,
    parts: Sequence[PartScores],
) -> FileEvents:
    """The events of a recording of which all parts are scored, in their order."""
    # The last part has read all of the recording, and knows best what is wrong with it.
    for part in reversed(parts):
        if part.error is not None:
            return FileEvents(file=audio.name, error=part.error)
    try:
        with opened(audio) as handle:
            info = probe(handle, audio.name)
    except (*USER_ERRORS, OSError) as error:  # it is gone since
        return FileEvents(file=audio.name, error=told_of(audio.name, error))
    held: list[Floats] = []
    scores = kept((part.values for part in parts), held)
    events = events_of(detector, scores, settings, seconds(info))
    if scores_to is not None:
        write_scores(detector, held, seconds(info), scores_to)
    return result_of(detector, audio.name, info, settings.chosen(events), parts[-1].warning)
