"""Made-up recordings to plan and render soundscapes of, and the levels to measure."""

from dataclasses import replace

import numpy as np

from shards.soundscapes.plan import TrimmedRecording, plan
from shards.soundscapes.recordings import Recording
from shards.soundscapes.scene import SoundscapeSettings

RATE_HZ = 8_000
SETTINGS = SoundscapeSettings(sample_rate_hz=RATE_HZ, textures=("drone",))


def made_up(label, seconds, count=4, parts=1, split="train"):
    """Trimmed recordings of noise, and their samples by name."""
    trimmed, samples = [], {}
    for number in range(count):
        name = f"{split}/{label}/{number}.wav"
        rng = np.random.default_rng([number, len(label)])
        samples[name] = (0.1 * rng.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)
        length = len(samples[name]) // parts
        recording = Recording(name=name, label=label, source=f"{split}-{label}-{number}")
        spans = tuple((part * length, (part + 1) * length) for part in range(parts))
        trimmed.append(TrimmedRecording(recording=recording, parts=spans))
    return trimmed, samples


BARKS, BARK_SAMPLES = made_up("bark", 2.4, parts=3)
DRONES, DRONE_SAMPLES = made_up("drone", 8.0)
CLICKS, CLICK_SAMPLES = made_up("click", 0.25)
ROOMS, ROOM_SAMPLES = made_up("room", 3.0)
HALLS, HALL_SAMPLES = made_up("hall", 20.0)
FOREGROUNDS, BACKGROUNDS = BARKS + DRONES + CLICKS, ROOMS + HALLS
READ = {
    **BARK_SAMPLES, **DRONE_SAMPLES, **CLICK_SAMPLES, **ROOM_SAMPLES, **HALL_SAMPLES,
}.__getitem__  # fmt: skip


def rms(samples):
    return np.sqrt(np.mean(np.square(samples, dtype=np.float64)))


def db(ratio):
    return 20 * np.log10(ratio)


def clips(count=40, **changes):
    return plan(replace(SETTINGS, **changes), "strong", count, FOREGROUNDS, BACKGROUNDS)
