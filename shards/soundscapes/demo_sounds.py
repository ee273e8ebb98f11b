"""Sounds made by rule, to try the whole chain without any recordings at hand.

Each recording draws its own pitch, timbre, tempo and length, so that it stands for one source and
a split by source makes sense. All synthesisers take a generator and a rate and return `(samples,)`.
"""

import zlib
from collections.abc import Callable

import numpy as np

from shards.audio.decoding import Samples
from shards.audio.encoding import encode
from shards.errors import SettingsError
from shards.io.store import Store
from shards.soundscapes.synthesis import (
    Wave,
    attack_decay,
    band_pass,
    brown_noise,
    log_uniform,
    phase_of,
    pulses,
    resonate,
    silence,
    time_axis,
    unit_rms,
)

Synthesiser = Callable[[np.random.Generator, int], Wave]

FOLDS = 5
MIN_RATE_HZ = 16_000
BACKGROUND_S = 12.0
VOWEL_FORMANTS_HZ = {  # first three formants of a man's voice (Peterson and Barney, 1952), rounded
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}


def alarm(rng: np.random.Generator, rate_hz: int) -> Wave:
    """Beeps of one or two pitches with a few odd harmonics."""
    pitch_hz = log_uniform(rng, 700, 2000)
    other = rng.choice([1.0, rng.uniform(0.7, 0.9)])
    on_s, off_s = rng.uniform(0.08, 0.3), rng.uniform(0.03, 0.15)
    strengths = rng.uniform(0, 0.5, 2)
    beeps = []
    for number in range(rng.integers(3, 9)):
        times = time_axis(on_s, rate_hz)
        phase = 2 * np.pi * pitch_hz * (other if number % 2 else 1.0) * times
        beep = np.sin(phase) + sum(
            strength * np.sin((2 * k + 3) * phase) for k, strength in enumerate(strengths)
        )
        beeps += [beep * attack_decay(times, 0.005, np.inf), silence(off_s, rate_hz)]
    return np.concatenate(beeps)


def bark(rng: np.random.Generator, rate_hz: int) -> Wave:
    """Two to four hoarse bursts with a falling pitch, through two resonances of a throat."""
    pitch_hz, size = rng.uniform(250, 600), rng.uniform(0.8, 1.3)
    hoarseness = rng.uniform(0.3, 0.8)
    bursts = []
    for _ in range(rng.integers(2, 5)):
        times = time_axis(rng.uniform(0.15, 0.32), rate_hz)
        contour = pitch_hz * (1 + 0.5 * np.exp(-times / 0.06)) * rng.uniform(0.92, 1.08)
        source = pulses(contour, rate_hz) + hoarseness * rng.standard_normal(len(times))
        voiced = resonate(source, rate_hz, (750 * size, 1500 * size, 2800 * size), 200)
        bursts.append(voiced * attack_decay(times, 0.015, rng.uniform(0.05, 0.1)))
        bursts.append(silence(rng.uniform(0.04, 0.2), rate_hz))
    return np.concatenate(bursts)


def bird(rng: np.random.Generator, rate_hz: int) -> Wave:
    """A song: one chirp, swept in pitch, several times with small changes."""
    low_hz, sweep = rng.uniform(2500, 4500), rng.uniform(-0.35, 0.5)
    chirp_s, pause_s = rng.uniform(0.06, 0.2), rng.uniform(0.03, 0.15)
    trill_hz, trill = rng.uniform(15, 45), rng.uniform(0, 0.08)
    song = []
    for _ in range(rng.integers(4, 12)):
        times = time_axis(chirp_s * rng.uniform(0.85, 1.15), rate_hz)
        x = times / times[-1]
        contour = low_hz * rng.uniform(0.95, 1.05) * (1 + sweep * x)
        contour *= 1 + trill * np.sin(2 * np.pi * trill_hz * times)
        song += [np.sin(phase_of(contour, rate_hz)) * np.sin(np.pi * x) ** 0.5]
        song += [silence(pause_s, rate_hz)]
    return np.concatenate(song)


def engine(rng: np.random.Generator, rate_hz: int) -> Wave:
    """Harmonics of a slowly drifting low pitch, rough at the firing rate, with some air noise."""
    times = time_axis(rng.uniform(1.5, 4), rate_hz)
    drift = 1 + 0.08 * np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * times + rng.uniform(0, 6))
    phase = phase_of(rng.uniform(30, 90) * drift, rate_hz)
    tilt = rng.uniform(0.5, 1.0)
    tone = np.zeros(len(times))
    for k in range(1, 25):
        tone += rng.uniform(0.4, 1) * k**-tilt * np.sin(k * phase + rng.uniform(0, 6))
    air = band_pass(rng.standard_normal(len(times)), rate_hz, 200, 1500)
    rough = 1 + rng.uniform(0.3, 0.8) * np.sin(phase / 2)
    return (tone + rng.uniform(0.5, 2) * air) * rough * attack_decay(times, 0.1, np.inf)


def glass(rng: np.random.Generator, rate_hz: int) -> Wave:
    """One to three strokes that set off ringing partials in no harmonic order."""
    partials_hz = rng.uniform(1200, 7000, rng.integers(8, 16))
    decays_s = rng.uniform(0.05, 0.35, len(partials_hz))
    strokes = []
    for _ in range(rng.integers(1, 4)):
        times = time_axis(rng.uniform(0.25, 0.8), rate_hz)
        ringing = sum(
            rng.uniform(0.2, 1) * np.sin(2 * np.pi * hz * times) * np.exp(-times / decay)
            for hz, decay in zip(partials_hz, decays_s, strict=True)
        )
        strokes.append(ringing + 2 * rng.standard_normal(len(times)) * np.exp(-times / 0.006))
    return np.concatenate(strokes)


def siren(rng: np.random.Generator, rate_hz: int) -> Wave:
    """A harsh tone that glides up and down over about an octave."""
    times = time_axis(rng.uniform(1.5, 4), rate_hz)
    swing = np.sin(2 * np.pi * rng.uniform(0.3, 2.5) * times + rng.uniform(0, 6))
    if rng.random() < 0.5:
        swing = 2 / np.pi * np.arcsin(swing)  # glides evenly, as electronic ones do
    contour = rng.uniform(550, 1000) * 2 ** (rng.uniform(0.3, 0.6) * swing)
    harsh = np.tanh(rng.uniform(1, 4) * np.sin(phase_of(contour, rate_hz)))
    return harsh * attack_decay(times, 0.05, np.inf)


def speech(rng: np.random.Generator, rate_hz: int) -> Wave:
    """Voiced syllables that move from vowel to vowel, hissing consonants between some."""
    pitch_hz, size = log_uniform(rng, 90, 240), rng.uniform(0.9, 1.2)
    syllables = []
    for number in range(rng.integers(3, 9)):
        times = time_axis(rng.uniform(0.12, 0.3), rate_hz)
        contour = pitch_hz * (1.15 - 0.04 * number) * (1 + 0.1 * np.sin(5 * times + number))
        source = pulses(contour, rate_hz) + 0.02 * rng.standard_normal(len(times))
        here, there = (
            resonate(source, rate_hz, [size * hz for hz in VOWEL_FORMANTS_HZ[vowel]], 80)
            for vowel in rng.choice(list(VOWEL_FORMANTS_HZ), 2)
        )
        x = times / times[-1]
        syllables.append((here * (1 - x) + there * x) * np.sin(np.pi * x) ** 0.5)
        if rng.random() < 0.5:
            hiss = rng.standard_normal(round(rng.uniform(0.04, 0.1) * rate_hz))
            syllables.append(rng.uniform(0.1, 0.3) * band_pass(hiss, rate_hz, 3500, 7000))
    return np.concatenate([unit_rms(syllable) for syllable in syllables])


def water(rng: np.random.Generator, rate_hz: int) -> Wave:
    """A running tap: hissing bands that flutter, and bubbles that rise in pitch."""
    times = time_axis(rng.uniform(1.5, 4), rate_hz)
    stream = np.zeros(len(times))
    for _ in range(4):
        low_hz = log_uniform(rng, 500, 4000)
        band = band_pass(rng.standard_normal(len(times)), rate_hz, low_hz, min(1.6 * low_hz, 7500))
        flutter = band_pass(rng.standard_normal(len(times)), rate_hz, 2, 15)
        stream += unit_rms(band) * (1 + 0.5 * unit_rms(flutter))
    bubble_s = rng.uniform(0.01, 0.03)
    for start in rng.integers(0, len(times), round(rng.uniform(15, 50) * times[-1])):
        bubble = time_axis(4 * bubble_s, rate_hz)[: len(times) - start]
        hz = log_uniform(rng, 500, 1800) * (1 + 3 * bubble)
        stream[start : start + len(bubble)] += (
            rng.uniform(1, 5) * np.sin(2 * np.pi * hz * bubble) * np.exp(-bubble / bubble_s)
        )
    return stream * attack_decay(times, 0.05, np.inf)


def rumble(rng: np.random.Generator, rate_hz: int) -> Wave:
    """Brown noise that swells slowly, as far traffic or wind."""
    times = time_axis(BACKGROUND_S, rate_hz)
    noise = brown_noise(rng, len(times), rng.uniform(0.9, 0.98))
    return noise * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * times))


def hum(rng: np.random.Generator, rate_hz: int) -> Wave:
    """A ventilator: mains harmonics in steady noise."""
    times = time_axis(BACKGROUND_S, rate_hz)
    mains_hz = rng.choice([50.0, 60.0])
    tone = np.zeros(len(times))
    for k in range(1, 8):
        tone += rng.uniform(0, 1) / k * np.sin(2 * np.pi * k * mains_hz * times)
    return tone + unit_rms(
        band_pass(rng.standard_normal(len(times)), rate_hz, 80, rng.uniform(800, 3000))
    )


def rain(rng: np.random.Generator, rate_hz: int) -> Wave:
    """Drops at random over a soft hiss."""
    count = round(BACKGROUND_S * rate_hz)
    drops = np.where(
        rng.random(count) < rng.uniform(40, 200) / rate_hz, rng.exponential(1, count), 0
    )
    pattering = band_pass(drops, rate_hz, 1500, 6000)
    return unit_rms(pattering) + unit_rms(band_pass(rng.standard_normal(count), rate_hz, 700, 7000))


EVENTS: dict[str, Synthesiser] = {
    function.__name__: function
    for function in (alarm, bark, bird, engine, glass, siren, speech, water)
}
BACKGROUNDS: dict[str, Synthesiser] = {
    function.__name__: function for function in (hum, rain, rumble)
}


def write_demo_recordings(
    store: Store,
    seed: int,
    sample_rate_hz: int = 16_000,
    *,
    per_class: int = 15,
    backgrounds_per_kind: int = 5,
) -> None:
    """Write `foreground/<class>/<fold>-<source>-A.wav` and `background/<kind>/...`.

    Folds are 1 to 5 in turn, so that each has recordings of every class. The same bytes come
    from the same arguments. `sample_rate_hz` is 16000 or more: the sounds reach 7.5 kHz.
    """
    if sample_rate_hz < MIN_RATE_HZ:
        raise SettingsError(
            f"demo sounds: got {sample_rate_hz} Hz; expected {MIN_RATE_HZ} Hz or more, since "
            "they reach 7.5 kHz"
        )
    for folder, synthesisers, count in (
        ("foreground", EVENTS, per_class),
        ("background", BACKGROUNDS, backgrounds_per_kind),
    ):
        for place, (label, synthesise) in enumerate(synthesisers.items()):
            for number in range(count):
                source = 100_000 * (1 + (folder == "background")) + 1000 * place + number
                samples = demo_recording(label, synthesise, seed, number, sample_rate_hz)
                name = f"{folder}/{label}/{1 + number % FOLDS}-{source}-A.wav"
                store.write(name, encode(samples, sample_rate_hz, "wav"))


def demo_recording(
    label: str, synthesise: Synthesiser, seed: int, number: int, sample_rate_hz: int
) -> Samples:
    """One recording `(samples,)` at a random level, with a little room noise and silence around."""
    rng = np.random.default_rng([seed, zlib.crc32(label.encode()), number])
    sound = synthesise(rng, sample_rate_hz)
    before, after = (silence(rng.uniform(0.05, 0.3), sample_rate_hz) for _ in range(2))
    sound = np.concatenate([before, sound / np.abs(sound).max(), after])
    room = rng.uniform(0.0005, 0.002) * rng.standard_normal(len(sound))
    samples: Samples = (rng.uniform(0.3, 0.9) * (sound + room)).astype(np.float32)
    return samples
