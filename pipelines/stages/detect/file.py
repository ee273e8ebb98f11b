"""The events of one audio file, which streams through: no step holds more than a few windows.

Memory does not grow with the length of a file, but for the events that are found in it; and, where
boxes or a clip mask look at all of it, for its scores. Where each channel is listened to, the file
is decoded once for each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pipelines.inference.audio_inputs import AudioInput, opened
from pipelines.inference.readable import told_of
from pipelines.inference.score_files import ScoreFormat, score_file
from pipelines.runtime.errors import USER_ERRORS, is_full
from pipelines.runtime.files.urls import store
from pipelines.stages.detect.results import FileEvents
from pipelines.stages.detect.settings import DetectSettings
from pmam.events.streaming import Floats
from pmam.models.detector import FrameDetector
from pmam.models.facade import Detector
from pmam.models.window_scores import Part, stream_events, stream_scores
from shards.annotations.event import SoundEvent
from shards.audio.channel_choice import Channel, ChannelChoice
from shards.audio.channels import ChannelMeter
from shards.audio.decoding import AudioError, AudioInfo, blocks, probe

DEFAULT = DetectSettings()


@dataclass(frozen=True, kw_only=True)
class ScoreTarget:
    """Where the frame scores of a recording go.

    Args:
        url: a folder.
        name: below it.
        score_format: how they are written.
    """

    url: str
    name: str
    score_format: ScoreFormat


def detect_file(
    detector: FrameDetector | Detector,
    file: str | AudioInput,
    settings: DetectSettings = DEFAULT,
    tell: Callable[[int], None] | None = None,
    scores_to: ScoreTarget | None = None,
) -> FileEvents:
    """The events of one recording, sorted by onset, offset and label.

    Args:
        detector: as `Detector.load` gives it, or its model, which is put into evaluation mode.
        file: a path or URL, or a recording of a packed dataset.
        settings: windows, and post-processing other than the detector's.
        tell: is called, on the way, with how many more percent of the file are done.
        scores_to: where its frame scores are written, before post-processing; all of them are
            held until then; of one channel alone.

    Raises:
        AudioError: the file cannot be read as audio, holds none, or makes the detector give NaN.
        OSError: there is no such file, or reading it failed.
    """
    audio_input = AudioInput(name=file, url=file) if isinstance(file, str) else file
    name = audio_input.name
    model = (detector.model if isinstance(detector, Detector) else detector).eval()
    held: list[Floats] = []
    events: list[SoundEvent] = []
    with opened(audio_input) as handle:
        info = probe(handle, name)
        end_s = seconds(info)
        meter = ChannelMeter()
        taken = _listened_to(settings.channel, info.channels)
        for number, channel in enumerate(taken):
            scores = scores_of(model, handle, name, settings, channel, meter)
            part = _shared(tell, number, len(taken))
            scores = watched(scores, name, model.encoder.hop_s, end_s, part)
            if scores_to is not None:
                scores = kept(scores, held)
            of_channel = number + 1 if settings.channel == "each" else None
            events += events_of(model, scores, settings, end_s, of_channel)
    if scores_to is not None:
        write_scores(model, held, end_s, scores_to)
    warning = meter.warning(name, settings.channel)
    return result_of(model, name, info, settings.chosen(events), warning, len(taken))


def seconds(info: AudioInfo) -> float:
    """How long a recording is."""
    return info.num_samples / info.sample_rate_hz


def scores_of(
    model: FrameDetector,
    handle: BinaryIO,
    name: str,
    settings: DetectSettings,
    channel: Channel | int,
    meter: ChannelMeter,
    part: Part | None = None,
) -> Iterator[Floats]:
    """The frame scores of an opened recording, or of a part of them, in blocks."""
    audio = blocks(
        handle,
        name,
        sample_rate_hz=model.encoder.sample_rate_hz,
        block_s=settings.window_s,
        channel=channel,
        meter=meter,
    )
    return stream_scores(
        model,
        audio,
        window_s=settings.window_s,
        overlap_s=settings.overlap_s,
        batch=settings.batch,
        part=part,
        ahead=True,
    )


def events_of(
    model: FrameDetector,
    scores: Iterable[Floats],
    settings: DetectSettings,
    end_s: float,
    channel: int | None = None,
) -> list[SoundEvent]:
    """The events of a recording's frame scores."""
    postprocess = settings.applied(model.postprocess)
    return [
        SoundEvent(**event._asdict(), channel=channel)
        for event in stream_events(model, scores, lambda: end_s, postprocess)
    ]


def write_scores(
    model: FrameDetector, held: Sequence[Floats], end_s: float, target: ScoreTarget
) -> None:
    """Write the frame scores of a recording."""
    hop_s = model.encoder.hop_s
    data = score_file(np.concatenate(held), model.classes, hop_s, end_s, target.score_format)
    store(target.url).write(target.name, data)


def result_of(
    model: FrameDetector,
    name: str,
    info: AudioInfo,
    events: tuple[SoundEvent, ...],
    warning: str | None,
    channels: int = 1,
) -> FileEvents:
    """What was found in a recording, and what is to be told of it."""
    return FileEvents(
        file=name,
        events=events,
        duration_s=seconds(info),
        sample_rate_hz=info.sample_rate_hz,
        low_rate_hz=model.encoder.lacking_rate_hz(info.sample_rate_hz),
        warning=warning,
        channels=channels,
    )


def _listened_to(channel: ChannelChoice, channels: int) -> list[Channel | int]:
    """What is listened to, one after another."""
    return list(range(channels)) if channel == "each" else [channel]


def _shared(
    tell: Callable[[int], None] | None, number: int, passes: int
) -> Callable[[int], None] | None:
    """Progress of one of several passes as percent of all of them."""
    if tell is None or passes == 1:
        return tell
    done = 0

    def part(more: int) -> None:
        nonlocal done
        before, done = done, done + more
        told = [(100 * number + percent) // passes for percent in (before, done)]
        tell(told[1] - told[0])

    return part


def kept(scores: Iterable[Floats], held: list[Floats]) -> Iterator[Floats]:
    """The same scores, which are held as well."""
    for block in scores:
        held.append(block)
        yield block


def watched(
    scores: Iterable[Floats],
    file: str,
    hop_s: float,
    end_s: float,
    tell: Callable[[int], None] | None = None,
    done: int = 0,
) -> Iterator[Floats]:
    """The same scores, from frame `done` on; tells how far it is, and refuses NaN."""
    percent = 0
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
    audio: AudioInput,
    settings: DetectSettings,
    tell: Callable[[int], None] | None = None,
    scores_to: ScoreTarget | None = None,
) -> FileEvents:
    """The events of a recording, or why there are none to tell."""
    try:
        return detect_file(detector, audio, settings, tell, scores_to)
    except (*USER_ERRORS, OSError) as error:
        if is_full(error):
            raise  # no file's fault
        return FileEvents(file=audio.name, error=told_of(audio.name, error))
