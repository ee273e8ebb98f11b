"""Building blocks of made sounds: envelopes, pitch, resonances. Waves are `(samples,)` float64."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float64]


def time_axis(seconds: float, rate_hz: int) -> Wave:
    """The time of each sample, in seconds."""
    return np.arange(round(seconds * rate_hz)) / rate_hz


def silence(seconds: float, rate_hz: int) -> Wave:
    """Zeros."""
    return np.zeros(round(seconds * rate_hz))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform, as pitches are."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def phase_of(contour_hz: Wave, rate_hz: int) -> Wave:
    """The phase in radians of a tone with this pitch over time."""
    return np.asarray(2 * np.pi * np.cumsum(contour_hz) / rate_hz)


def pulses(contour_hz: Wave, rate_hz: int) -> Wave:
    """A buzz rich in harmonics that fall off smoothly, as from vocal folds."""
    return np.asarray(np.exp(-4 * (1 - np.cos(phase_of(contour_hz, rate_hz)))) - 0.2)


def attack_decay(times: Wave, attack_s: float, decay_s: float) -> Wave:
    """Rises in `attack_s`, falls with `decay_s`, and fades out over the last 10 ms."""
    rise = np.minimum(1, times / attack_s)
    end = np.minimum(1, (times[-1] - times) / 0.01)
    return np.asarray(rise * end * np.exp(-np.maximum(0, times - attack_s) / decay_s))


def resonate(source: Wave, rate_hz: int, formants_hz: Sequence[float], bandwidth_hz: float) -> Wave:
    """Two-pole resonators in a row, one per formant."""
    from scipy.signal import lfilter  # slow to load: who only asks for help need not wait

    radius = np.exp(-np.pi * bandwidth_hz / rate_hz)
    for hz in formants_hz:
        poles = [1.0, -2 * radius * np.cos(2 * np.pi * hz / rate_hz), radius**2]
        source = lfilter([sum(poles)], poles, source)
    return source


def brown_noise(rng: np.random.Generator, samples: int, pole: float) -> Wave:
    """White noise through one pole: the nearer to 1, the darker."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -pole], rng.standard_normal(samples)))


def band_pass(noise: Wave, rate_hz: int, low_hz: float, high_hz: float) -> Wave:
    """The part of a sound between two frequencies (Butterworth)."""
    from scipy.signal import butter, sosfilt

    sections = butter(2, (low_hz, high_hz), "band", fs=rate_hz, output="sos")
    return np.asarray(sosfilt(sections, noise))


def unit_rms(samples: Wave) -> Wave:
    """The samples at an RMS of one."""
    return np.asarray(samples / np.sqrt(np.mean(samples**2)))
