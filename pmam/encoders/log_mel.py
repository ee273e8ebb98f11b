"""From waveforms to log-mel spectrograms, as PaSST and EfficientAT were trained on them."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.errors import InputError

# Frames of one block on a CPU: spectra and squares of so many stay in the cache of a core or two.
# Smaller blocks make threads wait for each other more often than they gain.
FRAMES_ON_CPU = 512


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


def mel_basis(settings: LogMelSettings) -> Tensor:
    """Triangular filters, linear in mel, peak 1, shape `(mels, fft_size / 2 + 1)`.

    The filters are Kaldi's, by torchaudio, as published encoders were trained on them: corners in
    single precision, and the bin at the Nyquist frequency belongs to none of them.
    `torchaudio.functional.melscale_fbanks` draws its triangles in hertz, and differs by 0.003.

    Raises:
        InputError: a band beyond half the sample rate, fewer than 4 filters, or an odd FFT size.
    """
    nyquist_hz = settings.sample_rate_hz / 2
    if not 0 <= settings.low_hz < settings.high_hz <= nyquist_hz:
        raise InputError(
            f"mel filters from {settings.low_hz} to {settings.high_hz} Hz: expected "
            f"0 <= low_hz < high_hz <= {nyquist_hz} (half the sample rate)"
        )
    if settings.mels < 4 or settings.fft_size % 2:
        raise InputError(
            f"{settings.mels} mel filters of an FFT of {settings.fft_size}: expected 4 filters at "
            "least, and an even size"
        )
    from torchaudio.compliance.kaldi import get_mel_banks  # here: the half of torch's own time

    triangles, _ = get_mel_banks(
        settings.mels,
        settings.fft_size,
        float(settings.sample_rate_hz),
        settings.low_hz,
        settings.high_hz,
        vtln_low=100.0,  # speakers' vocal tracts: a warp of 1 is none
        vtln_high=-500.0,
        vtln_warp_factor=1.0,
    )
    return nn.functional.pad(triangles, (0, 1))


def bin_bands(basis: Tensor) -> list[tuple[slice, slice]]:
    """Slices of `basis (mels, bins)` that hold all that is not zero: mels, bins.

    Low filters are narrow: halves, and halves of the upper half, leave a third of the products.
    """
    mels = basis.shape[0]
    cuts = sorted({0, mels // 2, 3 * mels // 4, mels})
    bands = []
    for low, high in itertools.pairwise(cuts):
        used = basis[low:high].sum(dim=0).nonzero().flatten().tolist() or [0]
        bands.append((slice(low, high), slice(used[0], used[-1] + 1)))
    return bands


def pre_emphasis(waveform: Tensor, coefficient: float = 0.97) -> Tensor:
    """`y[t] = x[t + 1] - 0.97 x[t]`: `(B, samples)` to `(B, samples - 1)`."""
    return torch.sub(waveform[:, 1:], waveform[:, :-1], alpha=coefficient)


def peak(waveform: Tensor) -> Tensor:
    """The largest magnitude of each row of `(B, samples)`, `(B, 1)`; 1 for silence."""
    low, high = torch.aminmax(waveform, dim=-1, keepdim=True)
    largest = torch.maximum(high, -low)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


def mirrored(samples: Tensor, margin: int) -> Tensor:
    """`(B, samples)` with `margin` more at both ends, which mirror what is beside them."""
    padded = samples.new_empty(samples.shape[0], samples.shape[1] + 2 * margin)
    padded[:, margin:-margin] = samples
    padded[:, :margin] = samples[:, 1 : margin + 1].flip(1)
    padded[:, -margin:] = samples[:, -margin - 1 : -1].flip(1)
    return padded


class LogMel(nn.Module):
    """Waveforms `(B, samples)` to log-mel `(B, mels, frames)`, about zero mean and unit scale."""

    window: Tensor
    paired_basis: Tensor

    def __init__(self, settings: LogMelSettings) -> None:
        super().__init__()
        self.settings = settings
        window = torch.hann_window(settings.window_samples, periodic=False)
        around = settings.fft_size - settings.window_samples
        basis = mel_basis(settings)
        self.bands = bin_bands(basis)
        # Constants: they follow the module to its device, and stay out of checkpoints.
        centred = nn.functional.pad(window, (around // 2, around - around // 2))
        self.register_buffer("window", centred, persistent=False)
        # Each bin twice, for its real and its imaginary part.
        self.register_buffer("paired_basis", basis.repeat_interleave(2, dim=1), persistent=False)

    def power(self, waveform: Tensor) -> Tensor:
        """Power mel spectrogram `(B, mels, frames)`.

        On a CPU clip by clip, in blocks of frames: what is computed stays in a core's cache.
        """
        missing = self.settings.fft_size // 2 + 2 - waveform.shape[-1]
        if missing > 0:  # the centred STFT mirrors half a window: shorter clips get silence
            waveform = nn.functional.pad(waveform, (0, missing))
        if waveform.device.type != "cpu" or torch.compiler.is_exporting():
            return self._power(waveform, waveform.shape[1])
        return torch.cat([self._power(clip[None], FRAMES_ON_CPU) for clip in waveform])

    def _power(self, waveform: Tensor, step: int) -> Tensor:
        """Of `step` frames at a time.

        Squares of real and imaginary parts are added up by the product with the mel basis.
        """
        settings, window = self.settings, self.window
        if settings.peak_normalise:
            window = (window / peak(waveform))[:, None]  # (B, 1, samples of a frame)
        samples = mirrored(pre_emphasis(waveform), settings.fft_size // 2)
        frames = samples.unfold(1, settings.fft_size, settings.hop_samples)  # a view
        mel = frames.new_empty(frames.shape[0], settings.mels, frames.shape[1])
        for start in range(0, frames.shape[1], step):
            here = slice(start, start + step)
            spectrum = torch.view_as_real(torch.fft.rfft(frames[:, here] * window))
            squares = spectrum.flatten(2).square_()  # (B, frames, 2 bins)
            for mels, bins in self.bands:
                pairs = slice(2 * bins.start, 2 * bins.stop)
                part = squares[..., pairs] @ self.paired_basis[mels, pairs].T
                mel[:, mels, here] = part.transpose(1, 2)
        return mel

    def forward(self, waveform: Tensor) -> Tensor:
        """`(log(power + 1e-5) + 4.5) / 5`, shape `(B, mels, frames)`."""
        return (torch.log(self.power(waveform) + 1e-5) + 4.5) / 5.0
