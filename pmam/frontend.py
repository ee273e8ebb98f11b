"""From waveforms to log-mel spectrograms, as PaSST and EfficientAT were trained on them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class LogMelSettings:
    """A log-mel front-end; the defaults are those of PaSST and EfficientAT (arXiv 2110.05069)."""

    sample_rate_hz: int = 32000
    fft_size: int = 1024
    window_samples: int = 800
    hop_samples: int = 320
    mels: int = 128
    low_hz: float = 0.0
    high_hz: float = 15000.0
    # PaSST scales each waveform to a peak of 1, EfficientAT does not.
    peak_normalise: bool = False

    @property
    def hop_s(self) -> float:
        """Time between two frames."""
        return self.hop_samples / self.sample_rate_hz

    def num_frames(self, num_samples: int) -> int:
        """Frames of a waveform: pre-emphasis takes one sample, the STFT is centred."""
        return 1 + (num_samples - 1) // self.hop_samples


def hertz_to_mel(frequency_hz: Tensor) -> Tensor:
    """The mel scale of Kaldi (and HTK), natural logarithm: 1127 ln(1 + f / 700)."""
    return 1127.0 * torch.log(1.0 + frequency_hz / 700.0)


def mel_basis(settings: LogMelSettings) -> Tensor:
    """Triangular filters, linear in mel, peak 1, shape `(mels, fft_size / 2 + 1)`.

    The filters are Kaldi's: the bin at the Nyquist frequency belongs to none of them.
    """
    nyquist_hz = settings.sample_rate_hz / 2
    if not 0 <= settings.low_hz < settings.high_hz <= nyquist_hz:
        raise ValueError(
            f"mel filters from {settings.low_hz} to {settings.high_hz} Hz: expected "
            f"0 <= low_hz < high_hz <= {nyquist_hz} (half the sample rate)"
        )
    low, high = hertz_to_mel(torch.tensor([settings.low_hz, settings.high_hz], dtype=torch.double))
    step = ((high - low) / (settings.mels + 1)).item()
    # Single precision from here on, as in the filters that published encoders were trained on.
    corners = low.item() + step * torch.arange(settings.mels + 2).float()
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]  # (mels, 1)
    bins = torch.arange(settings.fft_size // 2).float()
    mel = hertz_to_mel(bins * (settings.sample_rate_hz / settings.fft_size))[None, :]  # (1, bins)
    rising = (mel - left) / (centre - left)
    falling = (right - mel) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp_min(0)
    return nn.functional.pad(triangles, (0, 1))


def pre_emphasis(waveform: Tensor, coefficient: float = 0.97) -> Tensor:
    """`y[t] = x[t + 1] - 0.97 x[t]`: `(B, samples)` to `(B, samples - 1)`."""
    return waveform[:, 1:] - coefficient * waveform[:, :-1]


def peak_normalise(waveform: Tensor) -> Tensor:
    """Scale each row of `(B, samples)` to a peak of 1; silence stays silence."""
    peak = waveform.abs().amax(dim=-1, keepdim=True)
    return waveform / torch.where(peak > 0, peak, torch.ones_like(peak))


class LogMel(nn.Module):
    """Waveforms `(B, samples)` to log-mel `(B, mels, frames)`, about zero mean and unit scale."""

    window: Tensor
    basis: Tensor

    def __init__(self, settings: LogMelSettings) -> None:
        super().__init__()
        self.settings = settings
        window = torch.hann_window(settings.window_samples, periodic=False)
        # Constants: they follow the module to its device, and stay out of checkpoints.
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("basis", mel_basis(settings), persistent=False)

    def power(self, waveform: Tensor) -> Tensor:
        """Power mel spectrogram `(B, mels, frames)`."""
        settings = self.settings
        if settings.peak_normalise:
            waveform = peak_normalise(waveform)
        missing = settings.fft_size // 2 + 2 - waveform.shape[-1]
        if missing > 0:  # the centred STFT mirrors half a window: shorter clips get silence
            waveform = nn.functional.pad(waveform, (0, missing))
        spectrum = torch.stft(
            pre_emphasis(waveform),
            settings.fft_size,
            hop_length=settings.hop_samples,
            win_length=settings.window_samples,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )  # (B, bins, frames)
        return self.basis @ (spectrum.real.square() + spectrum.imag.square())

    def forward(self, waveform: Tensor) -> Tensor:
        """`(log(power + 1e-5) + 4.5) / 5`, shape `(B, mels, frames)`."""
        return (torch.log(self.power(waveform) + 1e-5) + 4.5) / 5.0
