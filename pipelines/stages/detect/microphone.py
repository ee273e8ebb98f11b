"""detect of what a microphone hears: events as they are over, until somebody says stop."""

import contextlib
import logging
import queue
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from pipelines.inference.sample_rate_check import low_rate
from pipelines.runtime.words import counted
from pipelines.stages.detect.outputs import write_together
from pipelines.stages.detect.results import FileEvents
from pipelines.stages.detect.settings import DetectError, DetectSettings
from pipelines.stages.detect.stage import checked_detector
from pmam.models.facade import Detector
from shards.annotations.event import SoundEvent
from shards.annotations.registry import format_named

NAME = "microphone"  # of the recording, in what is written
FORMATS = ("tsv", "csv", "jsonl")  # those that grow by an event
BLOCK_S = 0.1
BACKLOG_S = 60.0  # of sound that waits for the detector at most
log = logging.getLogger("pmam")
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Microphone:
    """An input of this machine's sound cards.

    Args:
        device: as sounddevice takes it: a number, part of a name, or None for the default one.
        name: what it is called.
        sample_rate_hz: its own rate.
    """

    device: int | str | None
    name: str
    sample_rate_hz: int

    @classmethod
    def of(cls, device: str | None) -> "Microphone":
        """The microphone of a number or of part of a name; by default the machine's.

        Raises:
            DetectError: there is none, or nothing that could ask for one.
        """
        sounddevice = _sounddevice()
        chosen = int(device) if device is not None and device.isdecimal() else device
        try:
            found = sounddevice.query_devices(chosen, "input")
        except (sounddevice.PortAudioError, ValueError) as error:
            raise DetectError(
                f"no microphone{'' if device is None else f' {device!r}'}: "
                f"{_in_a_line(error)}; `python -m sounddevice` lists what there is: plug one in, "
                "or name another by --device"
            ) from error
        rate_hz = round(found["default_samplerate"])
        return cls(device=chosen, name=found["name"], sample_rate_hz=rate_hz)

    def blocks(self, seconds: float | None) -> Generator[Floats, None, None]:
        """Samples as they are heard, until the interrupt key, or for some seconds.

        Sound that the card lost is counted and told at the end.

        Raises:
            DetectError: the microphone cannot be opened or went away, or more than `BACKLOG_S` of
                sound waits, since this machine is slower than the sound.
        """
        sounddevice = _sounddevice()
        size = round(BLOCK_S * self.sample_rate_hz)
        heard: queue.Queue[Floats | None] = queue.Queue()
        lost = 0

        def take(block: Floats, _frames: int, _time: Any, status: Any) -> None:
            nonlocal lost
            lost += bool(status.input_overflow)
            heard.put(block[:, 0].copy())  # the card's own memory, which it will use again

        left = None if seconds is None else round(seconds * self.sample_rate_hz)
        try:
            with (
                _interrupted(lambda: heard.put(None)) as stopped,
                sounddevice.InputStream(
                    samplerate=self.sample_rate_hz,
                    device=self.device,
                    channels=1,
                    dtype="float32",
                    blocksize=size,
                    callback=take,
                    finished_callback=lambda: heard.put(None),
                ),
            ):
                while left is None or left > 0:
                    block = heard.get()
                    if block is None and stopped.is_set():
                        log.info("stopped listening")
                        return
                    if block is None:
                        raise DetectError(
                            f"{self.name}: stopped by itself; is it still plugged in?"
                        )
                    if (waiting_s := heard.qsize() * BLOCK_S) > BACKLOG_S:
                        raise DetectError(
                            f"{waiting_s:.0f} s of sound wait: this machine is slower than the "
                            "sound; take longer windows with less overlap, or a smaller detector"
                        )
                    if left is not None:
                        block = block[:left]
                        left -= len(block)
                    yield block
        except sounddevice.PortAudioError as error:
            raise DetectError(f"{self.name}: {_in_a_line(error)}; is it in use?") from error
        finally:
            if lost:
                times = counted(lost, "time")
                log.warning("the sound card lost sound %s: times after it are early", times)


def listen(
    checkpoint: str,
    settings: DetectSettings,
    *,
    text_format: str = "tsv",
    device: str | None = None,
    seconds: float | None = None,
    out: TextIO | None = None,
) -> None:
    """Write the events that a microphone hears, each at most the stated latency after its end.

    Args:
        checkpoint: URL of a detector.
        settings: windows, and post-processing other than the detector's.
        text_format: one of `FORMATS`; times are seconds since it began to listen.
        device: see `Microphone.of`.
        seconds: how long; by default until the interrupt key.
        out: by default the standard output.

    Raises:
        DetectError: settings that need the whole recording, or no microphone.
    """
    if text_format not in FORMATS:
        raise DetectError(
            f"format {text_format!r}: a microphone's events are written as they come; expected "
            f"one of {', '.join(FORMATS)}"
        )
    if settings.top is not None:
        raise DetectError("top: needs the whole recording, which a microphone has not; leave it")
    if seconds is not None and not seconds > 0:
        raise DetectError(f"seconds {seconds:g}: expected more than 0")
    out = sys.stdout if out is None else out
    model = checked_detector(checkpoint, settings)
    model.postprocess = settings.applied(model.postprocess)
    detector = Detector(model, window_s=settings.window_s, overlap_s=settings.overlap_s, batch=1)
    if model.postprocess.needs_whole:
        raise DetectError(
            "this detector's post-processing needs the whole recording (boxes or a clip mask): "
            "give --method median, and no clip mask"
        )
    microphone = Microphone.of(device)
    log.info(
        "listening to %s at %d Hz; an event is told at most %.1f s after its end%s",
        microphone.name,
        microphone.sample_rate_hz,
        detector.latency_s + BLOCK_S,
        " (shorter windows answer sooner: --window-s 2 --overlap-s 0.5)"
        if detector.latency_s > 10
        else "",
    )
    lacking = model.encoder.lacking_rate_hz(microphone.sample_rate_hz)
    if lacking is not None:
        log.warning("%s: %s", microphone.name, low_rate(lacking))
    write_together(_heard(detector, microphone, settings, seconds), format_named(text_format), out)


def _heard(
    detector: Detector, microphone: Microphone, settings: DetectSettings, seconds: float | None
) -> Iterator[FileEvents]:
    """A result with each event, as it is known."""
    found = 0
    blocks = microphone.blocks(seconds)
    with contextlib.closing(blocks):
        for event in detector.stream(blocks, microphone.sample_rate_hz):
            chosen = settings.chosen([SoundEvent(**event._asdict())])
            if chosen:
                found += 1
                yield FileEvents(file=NAME, events=chosen)
    log.info("heard %s", counted(found, "event"))


def _sounddevice() -> Any:
    """The module; torch and Ray do without it.

    Raises:
        DetectError: it is not installed, or has no PortAudio to call.
    """
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise DetectError(
            "listening needs sounddevice: install pmam with its extra microphone (uv sync --extra "
            "microphone, or pip install 'pmam[microphone]')"
        ) from error
    except OSError as error:  # the wheels for Linux leave the library to the system
        raise DetectError(
            f"sounddevice: {_in_a_line(error)}; install PortAudio (apt install libportaudio2)"
        ) from error
    return sounddevice


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())


@contextlib.contextmanager
def _interrupted(tell: Callable[[], None]) -> Iterator[threading.Event]:
    """What the interrupt key sets, once, in place of an exception wherever the work just is.

    `tell` is called then. A second time the key does what it does elsewhere.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed  # signals are not for other threads
        return
    before = signal.getsignal(signal.SIGINT)

    def press(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        pressed.set()
        tell()

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
