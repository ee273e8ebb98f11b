"""From waveforms to M2D's log-mel: 80 Slaney bands of 16 kHz audio, 100 frames a second."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

RATE_HZ = 16000
FFT_SIZE = 400
HOP = 160
MELS = 80
LOW_HZ, HIGH_HZ = 50.0, 8000.0
EPS = torch.finfo(torch.float32).eps
# Where Slaney's mel scale turns from linear to logarithmic, and its steps per e-fold above.
KNEE_HZ, KNEE_MEL = 1000.0, 15.0
STEPS_ABOVE = 27 / math.log(6.4)
Floats = npt.NDArray[np.float64]
# Mean and standard deviation of the log-mel of AudioSet, in files that do not tell their own.
NORM_STATS = (-7.1, 4.2)


def slaney_mel(frequency_hz: Floats) -> Floats:
    """Slaney's scale: 15 mel at 1 kHz, linear below it, logarithmic above (Auditory Toolbox)."""
    above = KNEE_MEL + STEPS_ABOVE * np.log(np.maximum(frequency_hz, KNEE_HZ) / KNEE_HZ)
    return np.where(frequency_hz < KNEE_HZ, frequency_hz * KNEE_MEL / KNEE_HZ, above)


def slaney_hz(mel: Floats) -> Floats:
    """The inverse of `slaney_mel`."""
    above = KNEE_HZ * np.exp((np.maximum(mel, KNEE_MEL) - KNEE_MEL) / STEPS_ABOVE)
    return np.where(mel < KNEE_MEL, mel * KNEE_HZ / KNEE_MEL, above)


def slaney_basis() -> Tensor:
    """Triangles on Slaney's mel scale, each of area 1 over hertz: `(mels, fft_size / 2 + 1)`.

    In double precision, as librosa computes it (`htk=False, norm="slaney"`): torchaudio's single
    precision is off by more than M2D's own numbers allow.
    """
    low, high = slaney_mel(np.array([LOW_HZ, HIGH_HZ]))
    corners_hz = slaney_hz(np.linspace(low, high, MELS + 2))
    bins_hz = np.linspace(0, RATE_HZ / 2, FFT_SIZE // 2 + 1)
    widths = np.diff(corners_hz)  # (mels + 1,)
    slopes = (bins_hz - corners_hz[:, None]) / np.append(widths, widths[-1])[:, None]
    rising, falling = slopes[:-2], 1 - slopes[1:-1]  # (mels, bins) each
    triangles = np.maximum(0, np.minimum(rising, falling))
    areas_hz = (corners_hz[2:] - corners_hz[:-2]) / 2
    return torch.from_numpy((triangles / areas_hz[:, None]).astype(np.float32))


class M2DLogMel(nn.Module):
    """Waveforms `(B, samples)` to `log(power + 1.2e-7)`, `(B, mels, 1 + samples // 160)`."""

    window: Tensor
    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Constants: they follow the module to its device, and stay out of checkpoints.
        self.register_buffer("window", torch.hann_window(FFT_SIZE), persistent=False)
        self.register_buffer("basis", slaney_basis(), persistent=False)

    def power(self, waveform: Tensor) -> Tensor:
        """Power mel spectrogram; the spectrum mirrors half a window at both ends."""
        missing = FFT_SIZE // 2 + 1 - waveform.shape[-1]
        if missing > 0:  # there is not enough to mirror: shorter clips get silence
            waveform = nn.functional.pad(waveform, (0, missing))
        spectrum = torch.stft(
            waveform,
            FFT_SIZE,
            HOP,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )  # (B, bins, frames)
        return self.basis @ torch.view_as_real(spectrum).square().sum(dim=-1)

    def forward(self, waveform: Tensor) -> Tensor:
        """Natural logarithms, not yet normalised."""
        return torch.log(self.power(waveform) + EPS)
