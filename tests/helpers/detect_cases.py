"""What the tests of detection share: the classes, the rate and the noise to hear."""

import math

import numpy as np

from pipelines.stages.detect.settings import DetectSettings

CLASSES = ("bird", "car", "dog")
RATE = 16000  # of the model
SETTINGS = DetectSettings()


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise whose level changes twice a second, `(samples,)`."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * rate)
    level = generator.random(math.ceil(seconds * 2) + 1) ** 3
    return (0.3 * generator.normal(size=samples) * np.repeat(level, rate // 2)[:samples]).clip(
        -0.99, 0.99
    )
