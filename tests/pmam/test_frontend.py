"""The log-mel front-end against numbers of the reference, and on awkward input."""

from pathlib import Path

import numpy as np
import pytest
import torch
from parity_rule import load, tolerance, wav

from pmam.frontend import LogMel, LogMelSettings, mel_basis


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
    assert logmel.shape[2] >= frontend.settings.num_frames(samples)


def test_filters_beyond_half_the_sample_rate_are_refused() -> None:
    with pytest.raises(ValueError, match="half the sample rate"):
        mel_basis(LogMelSettings(sample_rate_hz=16000))
