"""detect of a microphone: a sound card that is a file, played as fast as it is taken."""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from detect_cases import noise

from pipelines.cli.main import main
from pipelines.stages.detect import microphone
from pipelines.stages.detect.microphone import listen
from pipelines.stages.detect.settings import DetectError, DetectSettings
from pmam.models.detector import DetectorModel
from pmam.models.facade import Detector

RATE = 44100  # of the card, not of the model
LIVE = DetectSettings(window_s=2, overlap_s=0.5)


class PortAudioError(Exception):
    """As sounddevice's own."""


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A module sounddevice whose only input plays `wave`, then calls `after`."""
    state = SimpleNamespace(wave=noise(20, RATE), after=lambda finished: None, overflows=0)
    state.opened = []

    class InputStream:
        def __init__(self, **options: Any) -> None:
            state.opened.append(options)
            self.options = options
            self.thread = threading.Thread(target=self.play)

        def play(self) -> None:
            size, call = self.options["blocksize"], self.options["callback"]
            shared = np.zeros((size, 1), np.float32)  # a card's memory is used again
            for start in range(0, len(state.wave) - size + 1, size):
                shared[:, 0] = state.wave[start : start + size]
                status = SimpleNamespace(input_overflow=start < state.overflows * size)
                call(shared, size, None, status)
                shared[:] = np.nan
            state.after(self.options["finished_callback"])

        def __enter__(self) -> "InputStream":
            self.thread.start()
            return self

        def __exit__(self, *_: object) -> None:
            self.thread.join()

    def query_devices(device: int | str | None, kind: str) -> dict[str, Any]:
        assert kind == "input"
        if device not in (None, 0, "Fake"):
            raise ValueError(f"No {kind} device matching {device!r}")
        return {"name": "Fake card", "default_samplerate": float(RATE)}

    module = ModuleType("sounddevice")
    vars(module).update(
        InputStream=InputStream, query_devices=query_devices, PortAudioError=PortAudioError
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return state


def heard(checkpoint: str, settings: DetectSettings = LIVE, **options: Any) -> list[list[str]]:
    out = io.StringIO()
    listen(checkpoint, settings, out=out, **options)
    head, *rows = [line.split("\t") for line in out.getvalue().splitlines()]
    assert head == ["filename", "onset", "offset", "event_label", "score"]
    return rows


def test_it_hears_what_the_detector_finds_in_the_same_sound(
    checkpoint: str, detector: DetectorModel, card: SimpleNamespace, caplog: Any
) -> None:
    with caplog.at_level(logging.INFO, "pmam"):
        rows = heard(checkpoint, seconds=15)
    facade = Detector(detector, window_s=2, overlap_s=0.5, batch=1)
    expected = facade.events(card.wave[: 15 * RATE], RATE)
    assert len(expected) > 5
    found = sorted((float(row[1]), float(row[2]), row[3]) for row in rows)
    assert [row[2] for row in found] == [event.label for event in expected]
    for (onset_s, offset_s, _), event in zip(found, expected, strict=True):
        assert (onset_s, offset_s) == pytest.approx(event[:2], abs=2e-6)
    assert {row[0] for row in rows} == {"microphone"}
    assert f"at most {facade.latency_s + 0.1:.1f} s after its end" in caplog.text
    assert "Fake card at 44100 Hz" in caplog.text
    assert card.opened[0]["device"] is None


def test_events_are_written_as_they_are_over(
    checkpoint: str, card: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each within the latency that is told, counted in samples that were taken."""
    taken, delays = [0], []
    stream = Detector.stream

    def watched(self: Detector, blocks: Any, rate: int) -> Any:
        def counting() -> Any:
            for block in blocks:
                taken[0] += len(block)
                yield block

        for event in stream(self, counting(), rate):
            delays.append((taken[0] / rate - event.offset_s, self.latency_s + 0.1))
            yield event

    monkeypatch.setattr(Detector, "stream", watched)
    assert len(heard(checkpoint, seconds=18)) == len(delays) > 5
    assert all(delay <= most for delay, most in delays)


def test_the_interrupt_key_ends_it_with_what_was_heard(
    checkpoint: str, detector: DetectorModel, card: SimpleNamespace
) -> None:
    card.after = lambda _: os.kill(os.getpid(), signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    rows = heard(checkpoint)
    assert signal.getsignal(signal.SIGINT) is before
    facade = Detector(detector, window_s=2, overlap_s=0.5)
    assert len(rows) == len(facade.events(card.wave, RATE))


def test_what_a_card_loses_is_told(checkpoint: str, card: SimpleNamespace, caplog: Any) -> None:
    card.overflows = 3
    heard(checkpoint, seconds=3)
    assert "the sound card lost sound 3 times" in caplog.text


def test_a_card_that_goes_away(checkpoint: str, card: SimpleNamespace) -> None:
    card.after = lambda finished: finished()
    with pytest.raises(DetectError, match="Fake card: stopped by itself"):
        heard(checkpoint)


def test_a_machine_that_is_too_slow(
    checkpoint: str, card: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "BACKLOG_S", 5.0)
    with pytest.raises(DetectError, match="s of sound wait: this machine is slower"):
        heard(checkpoint)


def test_a_device_that_is_not_there(checkpoint: str, card: SimpleNamespace) -> None:
    heard(checkpoint, seconds=1, device="0")
    heard(checkpoint, seconds=1, device="Fake")
    assert [each["device"] for each in card.opened] == [0, "Fake"]
    with pytest.raises(DetectError, match=r"no microphone 'Other': .*python -m sounddevice"):
        heard(checkpoint, device="Other")


def test_settings_that_need_the_whole_are_refused(checkpoint: str, card: SimpleNamespace) -> None:
    for settings, options, told in (
        (DetectSettings(method="boxes"), {}, "needs the whole recording"),
        (DetectSettings(top=3), {}, "top: needs the whole"),
        (LIVE, {"text_format": "raven"}, "expected one of tsv, csv, jsonl"),
        (LIVE, {"seconds": -1}, "seconds -1: expected more than 0"),
    ):
        with pytest.raises(DetectError, match=told):
            listen(checkpoint, settings, **options)  # type: ignore[arg-type]
    assert card.opened == []


def test_short_events_are_left_out(checkpoint: str, card: SimpleNamespace) -> None:
    every = heard(checkpoint, seconds=15)
    settings = DetectSettings(window_s=2, overlap_s=0.5, min_duration_s=0.5)
    long = [row for row in every if float(row[2]) - float(row[1]) >= 0.5 - 1e-6]
    assert 0 < len(long) < len(every)
    assert heard(checkpoint, settings, seconds=15) == long


def test_without_sounddevice_or_a_sound_card(
    checkpoint: str, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("detect", "--microphone", "--checkpoint", checkpoint)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "--extra microphone" in refused(*command)
    module = ModuleType("sounddevice")

    def no_devices(device: object, kind: str) -> None:
        raise PortAudioError("Error querying device -1")

    vars(module).update(query_devices=no_devices, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    assert "no microphone: Error querying device -1; `python -m sounddevice`" in refused(*command)
    told = refused(*command, "--output-dir", "found")
    assert "--microphone writes to standard output; leave --output-dir out" in told
    assert "are for --microphone" in refused("detect", "a.wav", "--seconds", 3, *command[2:])


def test_the_command(checkpoint: str, card: SimpleNamespace, capfd: Any) -> None:
    command = "detect --microphone --seconds 6 --format csv --window-s 2 --overlap-s 0.5"
    main([*command.split(), "--checkpoint", checkpoint])
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "filename,onset,offset,event_label,score"
    assert len(lines) > 2
