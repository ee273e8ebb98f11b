"""Training examples on an encoder's time grid: the loader that gives them, and their targets."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cluster.storage.download import cache_folder
from pipelines.inference.events import events_of
from pipelines.inference.sample_rate_check import warn_of_low_rates
from pipelines.training.stored_inputs import StoredInputs
from pmam.encoders.base import FrameEncoder
from pmam.events.targets import encode, encode_published
from shards.clip import TRAINING_SUBSETS
from shards.dataset import Dataset
from shards.index import IndexRow
from shards.io.disk_cache import ClipCache
from shards.loading.examples import AudioReader, ClipReader, Crops, Example, Floats
from shards.loading.loader import Loader, Loading

BatchT = TypeVar("BatchT")
log = logging.getLogger("pmam")


@dataclass(frozen=True, kw_only=True)
class Span:
    """Which frames of its clip an example is."""

    first: int
    frames: int  # that hold audio; the rest is padding


class CropReader:
    """Crops of clips on the time grid of an encoder, their inputs and their targets.

    Args:
        encoder: gives the rate and the hop.
        crop_s: length of every example; longer clips are cropped at random, shorter ones padded.
        clips: reads samples, or stored inputs of the encoder.
        seed: of the order of clips and of the crops.
        published_borders: place events in frames as PMAM's code does.
    """

    def __init__(
        self,
        encoder: FrameEncoder,
        crop_s: float,
        clips: ClipReader,
        seed: int,
        *,
        published_borders: bool = False,
    ) -> None:
        self.encoder, self.clips, self.seed = encoder, clips, seed
        self.published_borders = published_borders
        self.crops = Crops(crop_s=crop_s, hop_s=encoder.hop_s, seed=seed)
        self.frames = max(1, round(crop_s / encoder.hop_s))

    def read(self, indices: Iterable[int]) -> Iterator[Example]:
        """Clips by their places in the index, each always cropped at the same place."""
        for row, samples in self.clips.read(indices):
            if isinstance(samples, Exception):
                raise samples
            yield self.crops.cut(row, samples, self.clips.rate_hz(row), epoch=0)

    def span(self, example: Example) -> Span:
        """The frames of its clip that an example is."""
        per_frame = round(self.encoder.hop_s * self.clips.rate_hz(example.row))
        return Span(first=example.start // per_frame, frames=-(-example.held // per_frame))

    def inputs(self, examples: Sequence[Example]) -> Tensor:
        """Calibrated inputs of a batch, `(B, input frames, channels)`."""
        units = torch.from_numpy(np.stack([example.samples for example in examples]))
        units = units.to(next(self.encoder.calibration.buffers()).device)
        return units if units.ndim == 3 else self.encoder.inputs(units)  # stored, or samples

    def padding(self, examples: Sequence[Example]) -> Tensor:
        """`(B, T)`, true on frames that hold no audio."""
        held = torch.tensor([self.span(example).frames for example in examples])
        return torch.arange(self.frames)[None] >= held[:, None]

    def frame_targets(self, example: Example, frames: Floats) -> Floats:
        """The part of a clip's frames `(n, width)` that belongs to the crop, padded with 0."""
        part = frames[self.span(example).first :][: self.frames]
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


class TrainingClips:
    """The clips that a training takes: which ones, and the loader of a rank.

    Args:
        dataset: where they are.
        encoder: gives the rate and the hop.
        batch: clips of each subset in a global batch.
        crop_s: length of an example.
        seed: of the order of clips and of the crops.
        stored_inputs: URL of a stage with the encoder's inputs, to be read instead of audio.
        cache_gb: size of a local cache of clips; 0: none.
        published_borders: place events in frames as PMAM's code does.
        keys: of the clips to train on, where those are not all of the subsets in `batch`.
        reader: of what shards hold instead of audio, such as spectrograms.

    `labelled` says whether any clip has a label. What a worker holds of the index are its Arrow
    columns, 0.3 GB for a million clips, and rows of the clips that it reads.

    Raises:
        SettingsError: there is no such clip.
        FrameError: the stored inputs are another encoder's.
        ValueError: an example is longer than the encoder takes.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder: FrameEncoder,
        *,
        batch: Mapping[str, int],
        crop_s: float,
        seed: int,
        stored_inputs: str | None,
        cache_gb: float = 0.0,
        published_borders: bool = False,
        keys: Iterable[str] | None = None,
        reader: ClipReader | None = None,
    ) -> None:
        self.dataset, columns = dataset, dataset.columns
        kept = None if keys is None else list(keys)
        among = True if kept is None else columns.among(kept)
        members = {subset: columns.of_subset(subset) & among for subset in batch}
        used = np.logical_or.reduce(list(members.values()))
        self.labelled = bool((columns.labelled() & used).any())
        self.count = int(used.sum())  # clips that may be in a batch
        self.batch = _taken(batch, {name: bool(which.any()) for name, which in members.items()})
        encoder.check_length(crop_s, "training.crop_s")
        places = np.flatnonzero(used)
        warn_of_low_rates(
            columns.sample_rates_hz()[places],
            encoder,
            lambda place: dataset.row(int(places[place])).source_id,
        )
        clips: ClipReader
        if reader is not None:
            clips = reader
        elif stored_inputs is None:
            cache = ClipCache(cache_folder() / "clips", round(cache_gb * 1e9)) if cache_gb else None
            clips = AudioReader(dataset, encoder.sample_rate_hz, cache=cache)
        else:
            clips = StoredInputs.open(dataset, encoder, stored_inputs)
        self.examples = CropReader(
            encoder, crop_s, clips, seed, published_borders=published_borders
        )
        self._keys = kept
        self.everything = self.loader()  # of all ranks: what is in a step, and refusals at once

    def loader(self, rank: int = 0, world_size: int = 1) -> Loader:
        """The batches of a rank."""
        crops = self.examples.crops
        settings = Loading(
            per_batch=self.batch, crop_s=crops.crop_s, crop_hop_s=crops.hop_s, seed=crops.seed
        )
        return Loader(
            self.dataset,
            settings,
            rank=rank,
            world_size=world_size,
            clips=self.examples.clips,
            keys=self._keys,
        )


def _taken(batch: Mapping[str, int], there: Mapping[str, bool]) -> Mapping[str, int]:
    """The batch without the usual subsets that a dataset need not have; they are warned of.

    Others, such as a misspelt one, stay in, for the loader to refuse.
    """
    absent = [n for n, count in batch.items() if count > 0 and not there[n]]
    usual = [name for name in absent if name in TRAINING_SUBSETS]
    taken = {name: count for name, count in batch.items() if name not in usual}
    if not any(taken.values()):
        return batch
    if usual:
        told = ", ".join(f"{count} {name}" for name, count in taken.items())
        log.warning("no clips of %s: a batch is %s", ", ".join(usual), told)
    return taken


def tag_targets(row: IndexRow, classes: Sequence[str]) -> Floats:
    """Weak labels of a clip, `(classes,)`: given, or those of its events."""
    labels = row.weak if row.weak is not None else [event.label for event in row.events or ()]
    return np.array([float(name in labels) for name in classes], np.float32)


def in_background(batches: Iterator[BatchT], ahead: int = 2) -> Iterator[BatchT]:
    """The same, made in another thread, so many ahead of their use; an error comes at its turn."""
    end = object()

    def made() -> BatchT | object:
        return next(batches, end)

    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [pool.submit(made) for _ in range(ahead)]
        try:
            while (batch := waiting.pop(0).result()) is not end:
                waiting.append(pool.submit(made))
                yield batch  # type: ignore[misc]  # it is not the end
        finally:
            # Here and not by the pool, whose thread is gone where this is collected as garbage.
            wait([future for future in waiting if not future.cancel()])
            close: Callable[[], None] = getattr(batches, "close", lambda: None)
            close()
