"""Training examples: which clip, which crop of it, and its targets on the model's time grid."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.inference.events import events_of
from pmam.encoders.base import FrameEncoder
from pmam.events.targets import encode, encode_published
from shards.dataset import Dataset
from shards.frames.reader import FrameSet
from shards.index import IndexRow
from shards.loading.prefetch import Data

Floats = npt.NDArray[np.float32]
BatchT = TypeVar("BatchT")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A crop of one clip: `units` are samples, or cached inputs of the encoder."""

    row: IndexRow
    units: Floats  # (units,) or (units, channels), zeros past the end of the clip
    first_frame: int  # of the crop, in the clip
    frames: int  # that hold audio; the rest is padding
    is_whole: bool  # whether the crop is the whole clip


class ExampleReader:
    """Reads crops of a fixed length.

    Args:
        dataset: where the audio is.
        encoder: gives the rate and the hop.
        crop_s: length of every example; longer clips are cropped at random, shorter ones padded.
        cached: the encoder's inputs of all clips, to be read instead of audio.
        seed: of the crops.
        published_borders: place events in frames as PMAM's code does.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder: FrameEncoder,
        crop_s: float,
        cached: FrameSet | None,
        seed: int,
        *,
        published_borders: bool = False,
    ) -> None:
        if cached is not None and (
            cached.spec.hop_s != encoder.input_hop_s
            or cached.spec.width != encoder.calibration.width
        ):
            raise ValueError(
                f"cached inputs have {cached.spec.width} channels every {cached.spec.hop_s} s, the "
                f"encoder takes {encoder.calibration.width} every {encoder.input_hop_s} s; "
                "train from audio, or embed the layer `input` of this encoder"
            )
        self.dataset, self.encoder, self.cached, self.seed = dataset, encoder, cached, seed
        self.published_borders = published_borders
        self.frames = max(1, round(crop_s / encoder.hop_s))
        self.units_per_frame = (
            encoder.input_frames_per_frame
            if cached is not None
            else round(encoder.hop_s * encoder.sample_rate_hz)
        )

    def read(self, row: IndexRow, step: int, data: Data | None = None) -> Example:
        """The crop of a clip at a step: a pure function of the seed, the clip and the step.

        `data` is its checked audio file, where it was read already.
        """
        rate_hz = self.encoder.sample_rate_hz
        if self.cached is not None:
            units = self.cached.read(row.key)
        elif data is not None:
            units = self.dataset.decoded(row, data, rate_hz)
        else:
            units = self.dataset.audio(row, rate_hz)
        available = -(-len(units) // self.units_per_frame)
        first = 0
        if available > self.frames:
            entropy = [self.seed, step, *row.key.encode()]
            first = int(np.random.default_rng(entropy).integers(available - self.frames + 1))
        size = self.frames * self.units_per_frame
        crop = units[first * self.units_per_frame :][:size]
        padding = [(0, size - len(crop))] + [(0, 0)] * (crop.ndim - 1)
        return Example(
            row=row,
            units=np.pad(crop, padding),
            first_frame=first,
            frames=min(available - first, self.frames),
            is_whole=available <= self.frames,
        )

    def inputs(self, examples: Sequence[Example]) -> Tensor:
        """Calibrated inputs of a batch, `(B, input frames, channels)`."""
        units = torch.from_numpy(np.stack([example.units for example in examples]))
        units = units.to(next(self.encoder.calibration.buffers()).device)
        return units if self.cached is not None else self.encoder.inputs(units)

    def padding(self, examples: Sequence[Example]) -> Tensor:
        """`(B, T)`, true on frames that hold no audio."""
        held = torch.tensor([example.frames for example in examples])
        return torch.arange(self.frames)[None] >= held[:, None]

    def frame_targets(self, example: Example, frames: Floats) -> Floats:
        """The part of a clip's frames `(n, width)` that belongs to the crop, padded with 0."""
        part = frames[example.first_frame :][: self.frames]
        return np.pad(part, [(0, self.frames - len(part)), (0, 0)])

    def event_targets(self, example: Example, classes: Sequence[str]) -> Floats:
        """Strong labels of the crop, `(T, classes)`."""
        hop_s = self.encoder.hop_s
        total = max(1, -(-example.row.num_samples // round(hop_s * example.row.sample_rate_hz)))
        events = events_of(example.row.events)
        if self.published_borders:
            rate_hz = self.encoder.sample_rate_hz
            targets = encode_published(events, classes, total, rate_hz, round(hop_s * rate_hz))
        else:
            targets = encode(events, classes, total, hop_s)
        return self.frame_targets(example, targets)


def tag_targets(row: IndexRow, classes: Sequence[str]) -> Floats:
    """Weak labels of a clip, `(classes,)`: given, or those of its events."""
    labels = row.weak if row.weak is not None else [event.label for event in row.events or ()]
    return np.array([float(name in labels) for name in classes], np.float32)


def prefetched(
    make: Callable[[int], BatchT], start: int, stop: int, ahead: int = 2
) -> Iterator[BatchT]:
    """`make(step)` for each step in order, computed in the background a few steps ahead."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [pool.submit(make, step) for step in range(start, min(start + ahead, stop))]
        for step in range(start, stop):
            batch = waiting.pop(0).result()
            if step + ahead < stop:
                waiting.append(pool.submit(make, step + ahead))
            yield batch
