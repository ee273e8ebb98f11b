"""A film of a recording, decoded again: its length, its sound, its cursor."""

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf

from pipelines.cli.main import main
from pipelines.runtime.errors import PipelineError
from pipelines.stages.detect import film as films
from shards.annotations.event import SoundEvent
from shards.audio.decoding import decode

RATE_HZ = 48000


def recording(length_s: float = 1.6) -> bytes:
    """A tone of 1 kHz in the second half."""
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    file = io.BytesIO()
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time_s) * (time_s >= length_s / 2)
    sf.write(file, tone, RATE_HZ, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("kind", films.KINDS, ids=lambda kind: kind.suffix)
def test_the_film_is_as_long_as_the_sound_and_shows_where_it_is(kind: films.Codecs) -> None:
    event = SoundEvent(onset_s=0.8, offset_s=1.6, label="$dog$", score=0.9)
    made = films.film(recording(), "a $name$.wav", [event], ["cat", "$dog$"], kind)
    with av.open(io.BytesIO(made)) as opened:
        pictures = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    assert len(pictures) == 40
    assert pictures[0].shape == (films.HEIGHT, films.WIDTH, 3)
    columns = []
    for picture in pictures:
        red = picture[100:300].astype(int)
        away = np.abs(red - films.CURSOR).sum(axis=2).mean(axis=0)
        columns.append(int(away.argmin()))
    steps = np.diff(columns)
    assert (steps >= 0).all() and columns[0] < 250 and columns[-1] > 1200
    sound = decode(made, "film", sample_rate_hz=RATE_HZ)
    assert len(sound) == pytest.approx(1.6 * RATE_HZ, abs=0.1 * RATE_HZ)
    half = len(sound) // 2
    assert np.abs(sound[half + 4000 : -8000]).max() > 0.3
    assert np.abs(sound[4000 : half - 4000]).max() < 0.05


def test_a_kind_that_cannot_be_written_is_told() -> None:
    with pytest.raises(PipelineError, match=r"\.mp4"):
        films.codecs(".avi")


def test_the_command_writes_a_film(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, out = tmp_path / "my sound.wav", tmp_path / "my film.mp4"
    sound.write_bytes(recording(0.8))
    main(["video", str(sound), "--detector", checkpoint, "--out", str(out)])
    assert capsys.readouterr().out.strip() == str(out)
    with av.open(str(out)) as opened:
        assert opened.duration == pytest.approx(0.8e6, abs=0.15e6)


@pytest.mark.parametrize("name", ["", ".", "nowhere.wav"])
def test_what_is_no_file_is_refused(refused: Callable[..., str], name: str) -> None:
    assert "no such audio file" in refused("video", name, "--detector", "detector.safetensors")
