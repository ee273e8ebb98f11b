"""Sounds of pages: the same bytes each time, and nothing of the sound lost."""

import io
import itertools

import numpy as np
import pytest
import soundfile as sf

from pipelines.pages.sound import RATE_HZ, mel_power, opus, shades


@pytest.mark.parametrize("samples", [1, 320, 7_001, RATE_HZ])
def test_opus_holds_the_sound(samples: int) -> None:
    sound = 0.3 * np.sin(np.arange(samples) * 0.2).astype(np.float32)
    found, rate_hz = sf.read(io.BytesIO(opus(sound)), dtype="float32")
    factor = rate_hz // RATE_HZ
    assert rate_hz in (RATE_HZ, 48_000)
    assert len(found) == factor * samples
    if samples == RATE_HZ:
        level = np.sqrt(np.mean(np.square(found)))
        assert level == pytest.approx(np.sqrt(np.mean(np.square(sound))), rel=0.05)


def test_the_same_sound_gives_the_same_bytes() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32)
    assert all(one == other for one, other in itertools.pairwise([opus(sound) for _ in range(3)]))


@pytest.mark.parametrize(("level", "darkest"), [(0.0, 0.0), (1e-5, 0.5), (1e-3, 0.5), (0.3, 0.5)])
def test_silence_is_dark_and_what_is_faint_is_seen(level: float, darkest: float) -> None:
    noise = np.random.default_rng(0).normal(0, 1, RATE_HZ).astype(np.float32)
    shade = shades(mel_power(np.float32(level) * noise))
    assert (shade.max() == 0) if level == 0 else (darkest < np.median(shade) <= 1)
