"""ESC-10 as another kind of sound: through a telephone's band, in a large room."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
from scipy.signal import butter, fftconvolve, sosfilt

Floats = npt.NDArray[np.float64]
BAND_HZ = (300.0, 3400.0)  # ITU-T G.712
REVERBERATION_S = 1.5  # until it is 60 dB lower
DIRECT = 0.3  # amplitude of the sound itself beside that of its echoes
TABLE = "esc10.csv"


def far(recordings: Path, folder: Path) -> Path:
    """A copy of ESC-10 as heard from afar by telephone; the folder, made once.

    Args:
        recordings: esc10.csv and audio/.
        folder: of the copy.
    """
    if (folder / TABLE).exists():
        return folder
    with (recordings / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        samples, rate_hz = sf.read(recordings / "audio" / row["filename"], always_2d=True)
        name = Path(row["filename"]).with_suffix(".flac")
        (folder / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        heard = telephone(reverberant(samples.mean(axis=1), rate_hz, number), rate_hz)
        sf.write(folder / "audio" / name, heard, rate_hz, subtype="PCM_16")
        row["filename"] = name.as_posix()
    temporary = folder / f"{TABLE}.part"
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    temporary.rename(folder / TABLE)
    return folder


def reverberant(samples: Floats, rate_hz: int, seed: int) -> Floats:
    """With echoes: noise whose level falls by 60 dB in `REVERBERATION_S`; as long as before."""
    times_s = np.arange(round(REVERBERATION_S * rate_hz)) / rate_hz
    noise = np.random.default_rng(seed).standard_normal(len(times_s))
    echoes = noise * 10 ** (-3 * times_s / REVERBERATION_S)
    echoes /= np.sqrt(np.sum(echoes**2))
    echoes[0] += DIRECT
    return fftconvolve(samples, echoes)[: len(samples)]


def telephone(samples: Floats, rate_hz: int) -> Floats:
    """The band of a telephone, at the highest level that 16 bits hold."""
    band = sosfilt(butter(4, BAND_HZ, "bandpass", fs=rate_hz, output="sos"), samples)
    heard: Floats = 0.9 * band / max(np.abs(band).max(), 1e-9)
    return heard
