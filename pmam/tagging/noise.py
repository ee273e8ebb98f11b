"""Noise that is added to recordings, to test how robust words are."""

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError

Samples = npt.NDArray[np.float32]


def noise_level(power: float, snr_db: float) -> float:
    """Standard deviation of white noise for a signal-to-noise ratio: `sqrt(power / 10^(snr/10))`.

    Raises:
        InputError: the ratio is not finite.
    """
    if not np.isfinite(snr_db):
        raise InputError(f"noise at {snr_db} dB: expected a finite signal-to-noise ratio")
    return float(np.sqrt(power * 10 ** (-snr_db / 10)))


def at_snr(samples: Samples, level: float, generator: np.random.Generator) -> Samples:
    """White Gaussian noise of a standard deviation added to `(n,)`."""
    noise = generator.standard_normal(len(samples))
    return (samples + level * noise).astype(np.float32)


def published_noise(samples: Samples, factor: float, generator: np.random.Generator) -> Samples:
    """Uniform noise of `factor` times the median of the samples, as the published code adds it.

    The median of a waveform is about zero, and so is this noise.
    """
    noise = generator.uniform(-1.0, 1.0, len(samples)) * np.median(samples) * factor
    return (samples + noise).astype(np.float32)
