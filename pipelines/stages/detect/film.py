"""A recording as a film: its spectrogram, lanes of what is detected, a cursor, and its sound.

FFmpeg comes with PyAV's wheel: H.264 and AAC in MP4 where it has them, VP9 and Opus in WebM else.
"""

import fractions
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.pages.sound import RATE_HZ as PICTURE_RATE_HZ
from pipelines.pages.sound import mel_power, shades
from pipelines.runtime.errors import PipelineError
from shards.annotations.event import SoundEvent
from shards.audio.decoding import decode

WIDTH, HEIGHT = 1280, 720
FRAMES_PER_S = 25
SOUND_RATE_HZ = 48000
LONGEST_S = 600.0  # all of the sound is in memory
CURSOR = (255, 61, 104)
Samples = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Codecs:
    """How a film is written."""

    suffix: str
    video: str
    audio: str


KINDS = (
    Codecs(suffix=".mp4", video="libx264", audio="aac"),
    Codecs(suffix=".webm", video="libvpx-vp9", audio="libopus"),
)


def codecs(suffix: str | None = None) -> Codecs:
    """The first kind that this PyAV can write, or that of a file's suffix.

    Raises:
        PipelineError: it can write none such.
    """
    able = [kind for kind in KINDS if {kind.video, kind.audio} <= av.codecs_available]
    found = [kind for kind in able if suffix in (None, kind.suffix)]
    if not found:
        there = ", ".join(kind.suffix for kind in able) or "none"
        raise PipelineError(f"a film {suffix or ''}: this PyAV can write {there}")
    return found[0]


def film(
    data: bytes, name: str, events: Sequence[SoundEvent], classes: Sequence[str], kind: Codecs
) -> bytes:
    """The film of a recording.

    Args:
        data: the bytes of an audio file, 10 minutes of sound at most.
        name: of the recording, for its title and for errors.
        events: what is detected in it.
        classes: a lane for each, in this order.
        kind: how it is written.

    Raises:
        PipelineError: it is too long.
        AudioError: it cannot be decoded.
    """
    sound = decode(data, name, sample_rate_hz=SOUND_RATE_HZ)
    length_s = len(sound) / SOUND_RATE_HZ
    if length_s > LONGEST_S:
        raise PipelineError(
            f"{name}: {length_s:.0f} s; expected at most {LONGEST_S:.0f} s: cut out what is to be "
            "seen"
        )
    picture, left, right = _still(
        decode(data, name, sample_rate_hz=PICTURE_RATE_HZ), name, events, classes, length_s
    )
    return _written(picture, (left, right), sound, kind)


def _still(
    samples: Samples,
    name: str,
    events: Sequence[SoundEvent],
    classes: Sequence[str],
    length_s: float,
) -> tuple[Picture, int, int]:
    """What does not move `(HEIGHT, WIDTH, 3)`, and from which to which column time goes."""
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="#11161d")
    canvas = FigureCanvasAgg(figure)
    left, right = 0.16, 0.98
    above = figure.add_axes((left, 0.5, right - left, 0.42))
    power = shades(mel_power(samples))
    above.imshow(power, aspect="auto", origin="lower", cmap="magma", extent=(0, length_s, 0, 1))
    above.set_yticks([])
    above.set_xticks([])
    above.set_title(name.replace("$", r"\$"), color="white", loc="left", fontsize=12)
    lanes = figure.add_axes((left, 0.09, right - left, 0.39), facecolor="#1a212b")
    colours = matplotlib.colormaps["tab10"]
    for row, label in enumerate(classes):
        spans = [(e.onset_s, e.offset_s - e.onset_s) for e in events if e.label == label]
        lanes.broken_barh(spans, (row + 0.12, 0.76), facecolors=colours(row % 10))
    lanes.set_xlim(0, length_s)
    lanes.set_ylim(len(classes), 0)
    names = [label.replace("$", r"\$") for label in classes]
    lanes.set_yticks(np.arange(len(classes)) + 0.5, names, color="white", fontsize=10)
    lanes.tick_params(axis="x", colors="white")
    lanes.set_xlabel("time (s)", color="white")
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    pixels = pixels[:, :, :3].copy()
    return pixels, round(left * WIDTH), round(right * WIDTH)


def _frames(picture: Picture, span: tuple[int, int], length_s: float) -> Iterator[Picture]:
    """The picture with the cursor at the time of each frame."""
    count = max(1, round(length_s * FRAMES_PER_S))
    top, bottom = round(0.08 * HEIGHT), round(0.91 * HEIGHT)
    for number in range(count):
        share = min(1.0, (number + 0.5) / FRAMES_PER_S / length_s)
        column = round(span[0] + share * (span[1] - span[0] - 1))
        shown = picture.copy()
        shown[top:bottom, max(column - 1, 0) : column + 1] = CURSOR
        yield shown


def _written(picture: Picture, span: tuple[int, int], sound: Samples, kind: Codecs) -> bytes:
    file = io.BytesIO()
    form = kind.suffix.removeprefix(".")
    with av.open(file, "w", format=form) as out:
        video = out.add_stream(kind.video, rate=FRAMES_PER_S)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream(kind.audio, rate=SOUND_RATE_HZ, layout="mono")
        assert isinstance(audio, av.AudioStream)
        for number, pixels in enumerate(_frames(picture, span, len(sound) / SOUND_RATE_HZ)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, fractions.Fraction(1, FRAMES_PER_S)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        step = 1024
        for first in range(0, len(sound), step):
            block = sound[None, first : first + step].astype(np.float32)
            part = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            part.sample_rate, part.pts = SOUND_RATE_HZ, first
            part.time_base = fractions.Fraction(1, SOUND_RATE_HZ)
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))
    return file.getvalue()
