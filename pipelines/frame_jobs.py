"""Jobs that turn each clip into frames: embed, label and score differ in one function alone."""

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.frame_sampling import sampled
from pipelines.jobs import Part, Plan, run_parts
from pipelines.ledger import Stage, record_of
from pipelines.urls import join, open_dataset, store
from pmam.encoders import FrameEncoder
from pmam.windows import Windows, overlap_added, split
from shards.frame_writer import FrameWriter
from shards.frames import FrameSet, FrameSpec
from shards.index import IndexRow

Floats = npt.NDArray[np.float32]
FRAMES = "frames"


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How clips go through a model: in windows, several at a time."""

    # Longer clips go through in windows of this length,
    window_s: float = 10.0

    # which overlap by so much, and fade into each other.
    overlap_s: float = 2.0
    # Clips of one length that go through together.
    batch: int = 16


@dataclass(frozen=True, kw_only=True)
class FrameFunction:
    """From a batch of clips to their frames, with what describes the frames."""

    encoder: FrameEncoder
    apply: Callable[[Tensor], Tensor]  # calibrated inputs (B, T', C) to frames (B, T, width)
    spec: FrameSpec


class FrameWorker:
    """Writes the frames of one audio shard's clips to one file.

    Args:
        dataset: URL of the dataset.
        out: URL of the folder that gets `frames/`.
        function: builds what is applied to the clips, in the worker's own process.
        arguments: of `function`.
        settings: windows and batches.
        inputs: URL of a stage with the encoder's cached inputs, instead of audio.
        keep_every: keep one random frame of so many; 1 keeps all.
        seed: of the choice of frames.
    """

    def __init__(
        self,
        dataset: str,
        out: str,
        function: Callable[..., FrameFunction],
        arguments: Mapping[str, Any],
        settings: InferenceSettings,
        inputs: str | None = None,
        keep_every: int = 1,
        seed: int = 0,
    ) -> None:
        self.dataset = open_dataset(dataset)
        self.rows = {row.key: row for row in self.dataset.rows}
        self.out = store(out)
        self.function = function(**arguments)
        self.settings = settings
        self.inputs = None if inputs is None else open_frames(inputs)
        self.keep_every, self.seed = keep_every, seed
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        encoder = self.function.encoder.to(self.device).eval()
        self.windows = Windows.of(settings.window_s, settings.overlap_s, encoder.hop_s)
        self.per_frame = (
            round(encoder.hop_s * encoder.sample_rate_hz)
            if inputs is None
            else encoder.input_frames_per_frame
        )

    def __call__(self, plan: Plan) -> Part:
        """`{"output": name, "keys": [...]}` to what was written, and counts."""
        rows = [self.rows[key] for key in plan["keys"]]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.arrow"
            count = 0
            with FrameWriter(path, self.function.spec) as writer:
                for row, blocks in self.frames_of(rows):
                    kept = sampled(blocks, self.keep_every, self.seed, row.key)
                    count += writer.add_blocks(row.key, kept)
            name = self.out.publish(plan["output"], path)
        return {"outputs": [name], "clips": len(rows), "frames": count}

    def frames_of(self, rows: Sequence[IndexRow]) -> Iterator[tuple[IndexRow, Iterable[Floats]]]:
        """The frames of each clip `(frames, width)`, in order.

        Clips of one length that fit one window go through together. A longer clip is read on the
        way, so its blocks of frames must be taken before the next clip.
        """
        waiting: list[tuple[IndexRow, Floats]] = []
        for row in rows:
            if self._units(row) > self.windows.frames * self.per_frame:
                yield from self._flush(waiting)
                waiting = []
                windows = split(self._blocks(row), self.windows, self.per_frame)
                overlap, batch = self.windows.overlap, self.settings.batch
                yield row, overlap_added(windows, self._apply, overlap, batch)
                continue
            units = self._whole(row)
            if waiting and (
                len(waiting) == self.settings.batch or len(units) != len(waiting[0][1])
            ):
                yield from self._flush(waiting)
                waiting = []
            waiting.append((row, units))
        yield from self._flush(waiting)

    def _units(self, row: IndexRow) -> int:
        """How many samples, or cached inputs, a clip has."""
        if self.inputs is not None:
            return self.inputs.count(row.key)
        rate_hz = self.function.encoder.sample_rate_hz
        return math.floor(row.num_samples * rate_hz / row.sample_rate_hz + 0.5)

    def _whole(self, row: IndexRow) -> Floats:
        if self.inputs is not None:
            return self.inputs.read(row.key)
        return self.dataset.audio(row, self.function.encoder.sample_rate_hz)

    def _blocks(self, row: IndexRow) -> Iterator[Floats]:
        """Samples, or cached inputs, in blocks as long as a window."""
        size = self.windows.frames * self.per_frame
        if self.inputs is None:
            rate_hz = self.function.encoder.sample_rate_hz
            yield from self.dataset.audio_blocks(row, rate_hz, size / rate_hz)
            return
        for first in range(0, self.inputs.count(row.key), size):
            yield self.inputs.read(row.key, first, first + size)

    @torch.inference_mode()
    def _apply(self, units: Floats) -> Floats:
        """Windows `(B, units, ...)` to frames `(B, frames, width)`."""
        batch = torch.from_numpy(units).to(self.device)
        inputs = batch if self.inputs is not None else self.function.encoder.inputs(batch)
        frames: Floats = self.function.apply(inputs).float().cpu().numpy()
        return frames

    def _flush(
        self, waiting: list[tuple[IndexRow, Floats]]
    ) -> Iterator[tuple[IndexRow, Iterable[Floats]]]:
        if waiting:
            frames = self._apply(np.stack([units for _, units in waiting]))
            for (row, _), of_row in zip(waiting, frames, strict=True):
                yield row, [of_row]


def clips_of(dataset_url: str, subsets: Sequence[str]) -> list[IndexRow]:
    """The clips of some subsets; `ValueError` where there are none."""
    rows = open_dataset(dataset_url).select(subsets)
    if not rows:
        raise ValueError(
            f"{dataset_url}: no clips of the subsets {', '.join(subsets)}; check --subsets"
        )
    return rows


def run_frame_job(
    stage: Stage,
    dataset_url: str,
    rows: Sequence[IndexRow],
    function: Callable[..., FrameFunction],
    arguments: Mapping[str, Any],
    settings: InferenceSettings,
    **options: Any,
) -> dict[str, Any]:
    """Frames of all rows, one file per audio shard; returns what to record of the stage."""
    function(**arguments)  # a model that cannot be used shows here, before workers start
    by_shard: dict[str, list[str]] = {}
    for row in rows:
        by_shard.setdefault(row.shard, []).append(row.key)
    plans = {
        PurePosixPath(shard).stem: {
            "output": f"{FRAMES}/{PurePosixPath(shard).stem}.arrow",
            "keys": keys,
        }
        for shard, keys in sorted(by_shard.items())
    }
    parts = run_parts(
        stage,
        plans,
        FrameWorker,
        {
            "dataset": dataset_url,
            "out": stage.url,
            "function": function,
            "arguments": dict(arguments),
            "settings": settings,
            **options,
        },
        weights={name: len(plan["keys"]) for name, plan in plans.items()},
    )
    return {
        "clips": sum(part["clips"] for part in parts),
        "frames": sum(part["frames"] for part in parts),
        "outputs": [name for part in parts for name in part["outputs"]],
    }


def open_frames(url: str) -> FrameSet:
    """The frame files of a finished stage."""
    return FrameSet(store(url), record_of(url)["result"]["outputs"])


def checkpoint_url(stage_url: str, name: str) -> str:
    """Where a stage keeps its checkpoint."""
    return join(stage_url, f"{name}.safetensors")
