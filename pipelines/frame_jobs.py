"""Jobs that turn each clip into frames: embed, label and score differ in one function alone."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.jobs import Part, Plan, run_parts
from pipelines.ledger import Stage, record_of
from pipelines.urls import join, store
from pmam.encoders import FrameEncoder
from pmam.windows import OverlapAdd, Windows, split
from shards.frames import FrameSet, FrameSpec, FrameWriter
from shards.index import IndexRow
from shards.reader import Dataset

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
        self.dataset = Dataset.open(store(dataset))
        self.rows = {row.key: row for row in self.dataset.rows}
        self.out = store(out)
        self.function = function(**arguments)
        self.settings = settings
        self.inputs = None if inputs is None else open_frames(inputs)
        self.keep_every, self.seed = keep_every, seed
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.function.encoder.to(self.device).eval()

    def __call__(self, plan: Plan) -> Part:
        """`{"output": name, "keys": [...]}` to the stored name and counts."""
        rows = [self.rows[key] for key in plan["keys"]]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.arrow"
            count = 0
            with FrameWriter(path, self.function.spec) as writer:
                for row, frames in self.frames_of(rows):
                    kept, positions = self._sample(row, frames)
                    writer.add(row.key, kept, positions)
                    count += len(kept)
            name = self.out.publish(plan["output"], path)
        return {"name": name, "clips": len(rows), "frames": count}

    @torch.inference_mode()
    def frames_of(self, rows: Sequence[IndexRow]) -> Iterator[tuple[IndexRow, Floats]]:
        """The frames of each clip, in order; clips of one length go through together."""
        waiting: list[tuple[IndexRow, Floats]] = []
        for row in rows:
            units = self._units(row)
            windows, per_frame = self._windows()
            if len(units) > windows.frames * per_frame:
                yield from self._flush(waiting)
                waiting = []
                yield row, self._long(units, windows, per_frame)
                continue
            if waiting and (
                len(waiting) == self.settings.batch or len(units) != len(waiting[0][1])
            ):
                yield from self._flush(waiting)
                waiting = []
            waiting.append((row, units))
        yield from self._flush(waiting)

    def _units(self, row: IndexRow) -> Floats:
        """Samples, or cached inputs."""
        if self.inputs is not None:
            return self.inputs.read(row.key)
        return self.dataset.audio(row, self.function.encoder.sample_rate_hz)

    def _windows(self) -> tuple[Windows, int]:
        encoder, settings = self.function.encoder, self.settings
        windows = Windows.of(settings.window_s, settings.overlap_s, encoder.hop_s)
        if self.inputs is not None:
            return windows, encoder.input_frames_per_frame
        return windows, round(encoder.hop_s * encoder.sample_rate_hz)

    def _apply(self, units: Sequence[Floats]) -> Floats:
        batch = torch.from_numpy(np.stack(units)).to(self.device)
        inputs = batch if self.inputs is not None else self.function.encoder.inputs(batch)
        frames: Floats = self.function.apply(inputs).float().cpu().numpy()
        return frames

    def _flush(self, waiting: list[tuple[IndexRow, Floats]]) -> Iterator[tuple[IndexRow, Floats]]:
        if waiting:
            frames = self._apply([units for _, units in waiting])
            for (row, _), of_row in zip(waiting, frames, strict=True):
                yield row, of_row

    def _long(self, units: Floats, windows: Windows, per_frame: int) -> Floats:
        adder = OverlapAdd(windows.overlap)
        done = [
            adder.add(first, self._apply([window])[0])
            for first, window in split([units], windows, per_frame)
        ]
        return np.concatenate([*done, adder.finish()])

    def _sample(self, row: IndexRow, frames: Floats) -> tuple[Floats, list[int] | None]:
        """One random frame of every `keep_every`, a pure function of the seed and the key."""
        if self.keep_every == 1:
            return frames, None
        entropy = [self.seed, *row.key.encode()]
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        starts = np.arange(0, len(frames), self.keep_every)
        lengths = np.minimum(self.keep_every, len(frames) - starts)
        positions = starts + generator.integers(0, lengths)
        return frames[positions], positions.tolist()


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
        "outputs": [part["name"] for part in parts],
    }


def open_frames(url: str) -> FrameSet:
    """The frame files of a finished stage."""
    return FrameSet(store(url), record_of(url)["result"]["outputs"])


def checkpoint_url(stage_url: str, name: str) -> str:
    """Where a stage keeps its checkpoint."""
    return join(stage_url, f"{name}.safetensors")
