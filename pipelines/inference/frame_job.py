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

from pipelines.inference.batch_size import BatchSize
from pipelines.inference.frame_sampling import sampled
from pipelines.inference.sample_rate_check import warn_of_low_rates
from pipelines.inference.settings import InferenceSettings
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import open_dataset, store
from pipelines.runtime.stage import Stage, record_of
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pmam.encoders.base import FrameEncoder
from pmam.events.overlap_add import Windows, overlap_added, split
from shards.frames.frame_set import FrameSet
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter
from shards.index import IndexRow, Listed

Floats = npt.NDArray[np.float32]
FRAMES = "frames"


@dataclass(frozen=True, kw_only=True)
class FrameFunction:
    """From a batch of clips to their frames, with what describes the frames."""

    encoder: FrameEncoder
    apply: Callable[[Tensor], Tensor]  # calibrated inputs (B, T', C) to frames (B, T, width)
    spec: FrameSpec


class FrameWorker:
    """Writes the frames of one audio shard's clips to one file, or to several of bounded size.

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
        self.out = store(out)
        self.function = function(**arguments)
        self.settings = settings
        self.inputs = None if inputs is None else open_frames(inputs)
        self.keep_every, self.seed = keep_every, seed
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        share = min(1.0, settings.gpus_per_worker)
        if device == "cuda" and share < 1:  # what others have a right to stays theirs
            torch.cuda.set_per_process_memory_fraction(share)
        self.batch = BatchSize(settings.batch, self.device, share)
        encoder = self.function.encoder.to(self.device).eval()
        self.windows = Windows.of(settings.window_s, settings.overlap_s, encoder.hop_s)
        self.per_frame = (
            round(encoder.hop_s * encoder.sample_rate_hz)
            if inputs is None
            else encoder.input_frames_per_frame
        )

    def __call__(self, task: ShardTask) -> ShardResult:
        """`{"output": name, "keys": [...]}` to what was written, and counts."""
        rows = self.dataset.rows_of(task["keys"])
        frames = self.frames_of(rows)
        names: list[str] = []
        clips = count = 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.arrow"
            while clips < len(rows):
                with FrameWriter(path, self.function.spec) as writer:
                    for row, blocks in frames:
                        kept = sampled(blocks, self.keep_every, self.seed, row.key)
                        count += writer.add_blocks(row.key, kept)
                        clips += 1
                        if path.stat().st_size >= self.settings.file_mb * 1e6:
                            break
                name = _numbered(task["output"], len(names))
                names.append(self.out.publish(name, path))
        return {"outputs": names, "clips": clips, "frames": count, "batch": self.batch.size}

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
                overlap = self.windows.overlap
                yield row, overlap_added(windows, self._apply, overlap, lambda: self.batch.size)
                continue
            units = self._whole(row)
            if waiting and (len(waiting) >= self.batch.size or len(units) != len(waiting[0][1])):
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

    def _apply(self, units: Floats) -> Floats:
        """Windows `(B, units, ...)` to frames `(B, frames, width)`."""
        return self.batch.run(self._together, units)

    @torch.inference_mode()
    def _together(self, units: Floats) -> Floats:
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


def clips_of(dataset_url: str, subsets: Sequence[str]) -> list[Listed]:
    """The clips of some subsets; a `PipelineError` where there are none."""
    rows = open_dataset(dataset_url).listed(subsets)
    if not rows:
        raise PipelineError(
            f"{dataset_url}: no clips of the subsets {', '.join(subsets)}; check --subsets"
        )
    return rows


def run_frame_job(
    stage: Stage,
    dataset_url: str,
    rows: Sequence[Listed],
    function: Callable[..., FrameFunction],
    arguments: Mapping[str, Any],
    settings: InferenceSettings,
    **options: Any,
) -> dict[str, Any]:
    """Frames of all rows, files for each audio shard; returns what to record of the stage."""
    # A model that cannot be used, or not so, shows here, before workers start.
    encoder = function(**arguments).encoder
    encoder.check_length(settings.window_s, "inference.window_s")
    warn_of_low_rates(
        [row.sample_rate_hz for row in rows], encoder, lambda place: rows[place].source_id
    )
    by_shard: dict[str, list[str]] = {}
    for row in rows:
        by_shard.setdefault(row.shard, []).append(row.key)
    tasks = {
        PurePosixPath(shard).stem: {
            "output": f"{FRAMES}/{PurePosixPath(shard).stem}.arrow",
            "keys": keys,
        }
        for shard, keys in sorted(by_shard.items())
    }
    results = run_shards(
        stage,
        tasks,
        FrameWorker,
        {
            "dataset": dataset_url,
            "out": stage.url,
            "function": function,
            "arguments": dict(arguments),
            "settings": settings,
            **options,
        },
        weights={name: len(task["keys"]) for name, task in tasks.items()},
        pool=settings.pool(),
    )
    return {
        "clips": sum(result["clips"] for result in results),
        "frames": sum(result["frames"] for result in results),
        "batch": max(result["batch"] for result in results),
        "outputs": [name for result in results for name in result["outputs"]],
    }


def _numbered(name: str, number: int) -> str:
    """`frames/a.arrow`, then `frames/a/1.arrow` and so on, which no other shard's file is."""
    plain = PurePosixPath(name)
    return name if number == 0 else f"{plain.with_suffix('')}/{number}{plain.suffix}"


def open_frames(url: str) -> FrameSet:
    """The frame files of a finished stage."""
    return FrameSet(store(url), record_of(url)["result"]["outputs"])
