"""What the tests of detection share: the classes, the rate and the noise to hear."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.inference.audio_inputs import OnError, audio_inputs
from pipelines.stages.detect.results import FileEvents
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.stage import checked_detector, detect

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


def detect_files(
    files: Sequence[str], checkpoint: str, settings: DetectSettings, on_error: OnError = "fail"
) -> Iterator[FileEvents]:
    """What is found in each file, in order."""
    tasks = [(audio, None) for audio in audio_inputs(files, on_error).audio]
    return detect(tasks, checkpoint, checked_detector(checkpoint, settings), settings, on_error)
