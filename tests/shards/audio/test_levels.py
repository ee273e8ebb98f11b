"""Levels against their definitions, and independence of how a clip is cut into blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.audio.levels import FLOOR_DB, measure

RATE = 8000


def test_levels_of_known_signals() -> None:
    time_s = np.arange(RATE) / RATE
    sine = measure([np.sin(2 * np.pi * 100 * time_s).astype(np.float32) * 0.5], RATE)
    assert sine.rms_db == pytest.approx(-9.03, abs=0.01)  # -3.01 for a full-scale sine
    assert sine.peak_db == pytest.approx(-6.02, abs=0.01)
    assert sine.offset == pytest.approx(0, abs=1e-6)
    assert (sine.clipped_share, sine.clipped_run, sine.silent_share) == (0, 0, 0)

    constant = measure([np.full(RATE, 0.25, np.float32)], RATE)
    assert constant.offset == pytest.approx(0.25)
    assert constant.rms_db == pytest.approx(-12.04, abs=0.01)


def test_silence_is_a_number_and_has_no_content() -> None:
    levels = measure([np.zeros(RATE, np.float32)], RATE)
    assert (levels.rms_db, levels.peak_db) == (FLOOR_DB, FLOOR_DB)
    assert (levels.silent_share, levels.zero_share, levels.content) == (1, 1, "")


def test_half_silent_clip() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    levels = measure([np.concatenate([noise, np.zeros(RATE, np.float32)])], RATE)
    assert levels.silent_share == pytest.approx(0.5)


def test_clipped_runs_are_of_one_side_and_go_on_over_blocks() -> None:
    samples = np.zeros(100, np.float32)
    samples[10:14] = 1
    samples[14:16] = -1  # the other side: another run
    samples[50] = 32767 / 32768
    for cut in range(1, 99):
        levels = measure([samples[:cut], samples[cut:]], RATE)
        assert levels.clipped_run == 4
        assert levels.clipped_share == pytest.approx(0.07)


def test_content_tells_rates_and_samples_apart() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 500).astype(np.float32)
    content = measure([noise], RATE).content
    assert content == measure([noise.copy()], RATE).content
    assert content != measure([noise], 2 * RATE).content
    assert content != measure([noise[:-1]], RATE).content


@given(
    samples=st.lists(st.sampled_from([0.0, 1.0, -1.0, 0.3, -0.001]), min_size=1, max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_cuts_do_not_matter(samples: list[float], cuts: list[int]) -> None:
    clip = np.array(samples, np.float32)
    whole, cut = measure([clip], 1000), measure(np.split(clip, sorted(cuts)), 1000)
    for name, value in vars(whole).items():
        assert getattr(cut, name) == pytest.approx(value), name


def test_no_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        measure([], RATE)
