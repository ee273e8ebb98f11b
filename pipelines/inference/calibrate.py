"""Encoders ready for use: pretrained weights loaded, inputs standardised on training clips."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
import torch
from safetensors.torch import load, save

from pipelines.inference.sample_rate_check import low_rates
from pipelines.inference.settings import CalibrationSettings
from pipelines.inference.weights import OF_ENCODERS, load_weights
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import open_dataset, store
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pmam.clustering.pca import Moments, moments
from pmam.encoders.base import FrameEncoder
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import CheckpointError
from shards.index import Listed

MOMENTS = "moments"  # the folder of what is added up


def load_encoder(settings: EncoderSettings) -> FrameEncoder:
    """The encoder with its pretrained weights, not calibrated yet.

    Raises:
        CheckpointError: the weights are missing, or do not fit the encoder.
    """
    encoder = build_encoder(settings)
    if not encoder.needs_weights:
        return encoder.eval()
    if settings.weights is None:
        raise CheckpointError(
            f"encoder {settings.name}: got no weights; give --encoder.weights: a file, a "
            f"URL, or the name {OF_ENCODERS[settings.name].name}, which is downloaded once"
        )
    load_weights(encoder, settings.weights)
    return encoder.eval()


class _MomentsWorker:
    """Moments of the encoder's raw inputs over some clips of one shard, as a tensor file."""

    def __init__(
        self, dataset: str, out: str, encoder: EncoderSettings, seconds_per_clip: float
    ) -> None:
        self.dataset, self.out = open_dataset(dataset), store(out)
        self.encoder = load_encoder(encoder)
        self.seconds = seconds_per_clip

    @torch.inference_mode()
    def __call__(self, task: ShardTask) -> ShardResult:
        def blocks() -> Iterator[torch.Tensor]:
            for row in self.dataset.rows_of(task["keys"]):
                rate_hz = self.encoder.sample_rate_hz
                first = self.dataset.audio_blocks(row, rate_hz, self.seconds)
                with contextlib.closing(first):
                    yield self.encoder.raw(torch.from_numpy(next(first)[None]))[0]

        total = moments(blocks)
        tensors = {
            "count": torch.tensor(total.count),
            "mean": total.mean,
            "scatter": total.scatter,
        }
        self.out.write(task["output"], save(tensors))
        return {"outputs": [task["output"]]}


def calibrate(
    stage: Stage,
    dataset_url: str,
    rows: Sequence[Listed],
    encoder: EncoderSettings,
    settings: CalibrationSettings,
) -> FrameEncoder:
    """The encoder with its standardisation (and PCA) fitted on a sample of training clips.

    Raises:
        PipelineError: there are no training clips, or some of too low a rate.
    """
    training = [row for row in rows if row.subset in settings.subsets]
    if not training:
        raise PipelineError(
            f"{dataset_url}: no clips of {', '.join(settings.subsets)} to calibrate the encoder "
            "on; give --calibration.subsets, or --model with an encoder calibrated elsewhere"
        )
    calibrated = load_encoder(encoder)  # first: what is wrong with it shows before workers start
    if settings.low_rates == "fail":
        check_rates(dataset_url, training, calibrated)
    generator = np.random.default_rng(settings.seed)
    count = min(settings.clips, len(training))
    by_shard: dict[str, list[str]] = {}
    for index in np.sort(generator.choice(len(training), count, replace=False)):
        shard = PurePosixPath(training[index].shard).stem
        by_shard.setdefault(shard, []).append(training[index].key)
    tasks = {
        f"moments-{shard}": {"output": f"{MOMENTS}/{shard}.safetensors", "keys": keys}
        for shard, keys in sorted(by_shard.items())
    }
    arguments = {
        "dataset": dataset_url,
        "out": stage.url,
        "encoder": encoder,
        "seconds_per_clip": settings.seconds_per_clip,
    }
    weights = {name: len(task["keys"]) for name, task in tasks.items()}
    results = run_shards(stage, tasks, _MomentsWorker, arguments, weights=weights)
    # Summed in the order of the shards: the same clips give the same bits.
    totals = [_read_moments(stage, name) for result in results for name in result["outputs"]]
    calibrated.calibration.fit(sum(totals[1:], start=totals[0]))
    return calibrated


def check_rates(dataset_url: str, rows: Sequence[Listed], encoder: FrameEncoder) -> None:
    """Refuse recordings that lack what a pretrained encoder listens to.

    Raises:
        PipelineError: some have a lower rate than the encoder's.
    """
    low = low_rates(rows, encoder)
    if low:
        raise PipelineError(
            f"{dataset_url}: {len(low)} of {len(rows)} clips have a low rate, such as "
            f"{low[0].source_id} with {low[0].sample_rate_hz} Hz; the encoder "
            f"{encoder.settings.name} has learnt from {encoder.sample_rate_hz} Hz: pack the "
            "originals, or set calibration.low_rates to resample to take them as they are"
        )


def _read_moments(stage: Stage, name: str) -> Moments:
    tensors = load(stage.store.read(name))
    return Moments(count=int(tensors["count"]), mean=tensors["mean"], scatter=tensors["scatter"])
