"""Stored inputs of an encoder in the place of audio: what the loader crops without decoding."""

from collections.abc import Generator, Iterable

import numpy as np

from pipelines.inference.frame_job import open_frames
from pmam.encoders.base import FrameEncoder
from shards.dataset import Dataset
from shards.errors import FrameError
from shards.frames.frame_set import FrameSet
from shards.index import IndexRow
from shards.loading.examples import Failure, Floats


class StoredInputs:
    """A `ClipReader` of what `pmam embed --layer input --keep-every 1` stored.

    Args:
        dataset: whose clips they are of.
        encoder: whose inputs they are.
        frames: the stored inputs.

    Raises:
        FrameError: they are another encoder's.
    """

    def __init__(self, dataset: Dataset, encoder: FrameEncoder, frames: FrameSet) -> None:
        spec = frames.spec
        if (spec.hop_s, spec.width) != (encoder.input_hop_s, encoder.calibration.width):
            raise FrameError(
                f"{frames.files[0].path}: stored inputs of {spec.width} channels every "
                f"{spec.hop_s} s, the encoder takes {encoder.calibration.width} every "
                f"{encoder.input_hop_s} s; train from audio, or embed the layer `input` of this "
                "encoder"
            )
        self.dataset, self.frames = dataset, frames

    @classmethod
    def open(cls, dataset: Dataset, encoder: FrameEncoder, url: str) -> "StoredInputs":
        """Those of a stage."""
        return cls(dataset, encoder, open_frames(url))

    def read(
        self, indices: Iterable[int]
    ) -> Generator[tuple[IndexRow, Floats | Failure], None, None]:
        """`(row, inputs (n, channels))` of each clip."""
        for index in indices:
            row = self.dataset.row(index)
            yield row, self.frames.read(row.key)

    def rate_hz(self, row: IndexRow) -> float:
        """Inputs per second."""
        return 1 / self.frames.spec.hop_s

    def silence(self, samples: int) -> Floats:
        """As many inputs of zeros, the mean of standardised ones."""
        return np.zeros((samples, self.frames.spec.width), np.float32)
