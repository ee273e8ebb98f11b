"""The log-mel front-end against numbers of the reference, and on awkward input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity_rule import load, tolerance, wav

from pmam.encoders.log_mel import LogMel, LogMelSettings, mel_basis


def test_matches_the_reference_front_end(parity_dir: Path) -> None:
    meta, expected = load(parity_dir, "01_mel_frontend")
    frontend = LogMel(LogMelSettings(peak_normalise=meta["config"]["wav_norm"]))
    waveform = torch.from_numpy(wav(meta["seed"], 32000))
    logmel = frontend(waveform).numpy()
    assert logmel.shape == (2, 128, 1000)
    assert np.abs(mel_basis(frontend.settings).numpy()[:, ::3] - expected["mel_basis"]).max() < 1e-5
    power = frontend.power(waveform).numpy()[:, ::5, ::17]
    np.testing.assert_allclose(power, expected["mel_power"], rtol=1e-4, atol=1e-5)
    difference = np.abs(logmel[:, ::3, ::7] - expected["logmel"]).max()
    assert difference <= tolerance(meta, "logmel")
    edges = np.concatenate([logmel[:, :, :4], logmel[:, :, -4:]], axis=2)
    assert np.abs(edges - expected["logmel_edges"]).max() <= tolerance(meta, "logmel_edges")


@pytest.mark.parametrize("samples", [1, 100, 513, 514, 32000])
def test_short_clips_and_silence_are_finite(samples: int) -> None:
    frontend = LogMel(LogMelSettings(peak_normalise=True))
    logmel = frontend(torch.zeros(1, samples))
    assert torch.isfinite(logmel).all()
    assert logmel.shape[2] >= 1 + (samples - 1) // frontend.settings.hop_samples


def test_filters_beyond_half_the_sample_rate_are_refused() -> None:
    with pytest.raises(ValueError, match="half the sample rate"):
        mel_basis(LogMelSettings(sample_rate_hz=16000))


@pytest.mark.parametrize("change", [{"mels": 3}, {"fft_size": 1023}])
def test_filters_that_kaldi_does_not_draw_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected 4 filters at least, and an even size"):
        mel_basis(replace(LogMelSettings(), **change))


@given(
    st.sampled_from([8000, 16000, 22050, 32000, 44100]),
    st.sampled_from([256, 400, 1024]),
    st.integers(4, 128),
    st.floats(0, 0.2),
    st.floats(0.3, 1),
)
def test_filters_are_triangles_between_evenly_spaced_mels(
    rate_hz: int, fft_size: int, mels: int, low: float, high: float
) -> None:
    settings = LogMelSettings(
        sample_rate_hz=rate_hz,
        fft_size=fft_size,
        mels=mels,
        low_hz=low * rate_hz / 2,
        high_hz=high * rate_hz / 2,
    )

    def to_mel(frequency_hz: object) -> np.ndarray:
        return 1127 * np.log1p(np.asarray(frequency_hz, dtype=np.float64) / 700)

    corners = np.linspace(to_mel(settings.low_hz), to_mel(settings.high_hz), mels + 2)
    bins = to_mel(np.arange(fft_size // 2) * rate_hz / fft_size)
    expected = np.zeros((mels, fft_size // 2 + 1))
    for row, (left, centre, right) in enumerate(
        zip(corners, corners[1:], corners[2:], strict=False)
    ):
        expected[row, :-1] = np.interp(bins, [left, centre, right], [0, 1, 0])
    assert np.abs(mel_basis(settings).numpy() - expected).max() < 1e-3
