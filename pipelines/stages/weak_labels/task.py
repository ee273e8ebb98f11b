"""One fold as a task of the training loop: losses on the other folds, validation on this one."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cluster.storage.download import cache_folder
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import open_dataset, read_checkpoint, write_checkpoint
from pipelines.runtime.workers.progress import bar
from pipelines.stages.weak_labels.folds import FoldSplit, split_fold, tags_of
from pipelines.stages.weak_labels.scores import HeldOut, held_out, inputs_of
from pipelines.stages.weak_labels.settings import METRIC, WeakTrainSettings
from pipelines.training.examples import TrainingClips
from pmam.clustering.pca import moments
from pmam.metrics.postprocess_choice import chosen_postprocess
from pmam.models.checkpoint import pack_weak, unpack
from pmam.settings import to_json
from pmam.training.clip_draws import Random
from pmam.training.settings import Plateau
from pmam.weak_labels.detector import WeakDetector, build_weak
from pmam.weak_labels.objective import WeakBatch, WeakTraining
from shards.dataset import Dataset
from shards.io.disk_cache import ClipCache
from shards.io.store import Store
from shards.loading.array_reader import CODEC, ArrayReader
from shards.loading.examples import Example

CHECKPOINT, START = "detector", "start"
MEDIANS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
log = logging.getLogger("pmam")


def clips_of(
    dataset: Dataset, model: WeakDetector, settings: WeakTrainSettings, split: FoldSplit
) -> TrainingClips:
    """The training clips, and a reader of all: audio, or spectrograms where shards hold those.

    Raises:
        PipelineError: some clips are audio and some are not.
    """
    codecs = {row.codec for row in (*split.train, *split.validation)}
    reader = None
    if CODEC in codecs:
        if len(codecs) > 1:
            raise PipelineError(
                f"clips of the codecs {', '.join(sorted(codecs))}: expected spectrograms alone, or "
                "none; give --subset or --snr that parts them"
            )
        size = round(settings.cache_gb * 1e9)
        cache = ClipCache(cache_folder() / "clips", size) if size else None
        reader = ArrayReader(dataset, settings.hop_s, cache=cache)
    training = settings.training(len(split.train), split.crop_s(settings))
    return TrainingClips(
        dataset,
        model.encoder,
        batch=training.batch,
        crop_s=training.crop_s,
        seed=settings.seed,
        stored_inputs=None,
        cache_gb=settings.cache_gb,
        keys=[row.key for row in split.train],
        reader=reader,
    )


def write_start(folder: Store, dataset: str, settings: WeakTrainSettings, fold: int) -> None:
    """The network before its training, its inputs standardised on all clips of the other folds."""
    packed = open_dataset(dataset)
    split = split_fold(dataset, packed, settings, fold)
    model = build_weak(settings.network, tuple(packed.manifest.classes or ()), settings.seed)
    settings.postprocess.check(model.classes)  # now, not when the training is done
    clips = clips_of(packed, model, settings, split)
    keys = {row.key for row in split.train}
    places = np.flatnonzero(packed.columns.among(keys)).tolist()

    @torch.inference_mode()
    def blocks() -> Iterator[Tensor]:
        with bar(f"log-mel of fold {fold} (clips)", len(places)) as advance:
            for row, units in clips.examples.clips.read(places):
                if isinstance(units, Exception):
                    raise units
                raw = torch.from_numpy(units)
                raw = raw if raw.ndim == 2 else model.front_end.raw(raw[None])[0]
                if raw.shape[1] != settings.mels:
                    raise PipelineError(
                        f"{row.source_id}: {raw.shape[1]} mel bands, expected {settings.mels}; "
                        f"give --mels {raw.shape[1]}"
                    )
                yield raw
                advance(1, "")

    model.front_end.calibration.fit(moments(blocks))
    write_checkpoint(folder, START, pack_weak(model))


class WeakTask:
    """Clip losses and reconstruction on the clips of all folds but one."""

    def __init__(self, dataset: str, start: str, settings: WeakTrainSettings, fold: int) -> None:
        packed = open_dataset(dataset)
        model = unpack(read_checkpoint(start), start)
        if not isinstance(model, WeakDetector):
            raise PipelineError(f"{start}: expected a network for weak labels; train with --fresh")
        self.settings, self.fold = settings, fold
        self.plateau: Plateau | None = settings.plateau
        self.split = split_fold(dataset, packed, settings, fold)
        self.clips = clips_of(packed, model, settings, self.split)
        self.module = WeakTraining(model, settings.alpha)
        count, epochs = len(self.split.train), range(1, settings.epochs + 1)
        # Epochs by the step after which their clips have been seen.
        self.ends = {-(-epoch * count // settings.batch_size): epoch for epoch in epochs}

    def prepare(self, batch: list[Example], step: int, random: Random) -> WeakBatch:
        """Tensors of a worker's clips."""
        inputs = inputs_of(self.module.model, batch)
        tags = tags_of([example.row for example in batch], self.module.model.classes)
        return WeakBatch(inputs=inputs, tags=torch.from_numpy(tags).float().to(inputs.device))

    def after_step(self, step: int) -> None:
        """Nothing follows the network."""

    def watch(self, step: int, values: dict[str, float]) -> dict[str, float]:
        """Nothing follows from the losses."""
        return {}

    def validate(self, step: int) -> dict[str, float]:
        """The held-out clips' numbers after each epoch; the best network is kept."""
        if step not in self.ends:
            return {}
        found = self._scores(self.module.model).ranking().means
        self.module.train()
        self.module.consider(found[METRIC], step)
        said = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        log.info("fold %d, epoch %d: %s", self.fold, self.ends[step], said)
        return {
            "epoch": float(self.ends[step]),
            **{f"validation/{name}": value for name, value in found.items()},
        }

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write the best network, with post-processing that suits it, and its numbers."""
        best, step = self.module.best, int(self.module.best_step)
        scores = self._scores(best)
        ranking = scores.ranking()
        numbers = {**ranking.means}
        if (events := scores.events()) is not None and events.has_events:
            # Before post-processing is chosen on the same clips.
            numbers |= events.numbers(self.settings.postprocess)
            best.postprocess = chosen_postprocess(
                events.processed, self.settings.postprocess, medians_s=MEDIANS_S, thresholds=True
            )
        else:
            best.postprocess = self.settings.postprocess
        checkpoint = pack_weak(best)
        write_checkpoint(folder, CHECKPOINT, checkpoint)
        return {
            "fold": self.fold,
            "clips": len(self.split.train),
            "held_out": len(self.split.validation),
            "epoch": self.ends.get(step, 0),
            "epochs": self.settings.epochs,
            "validation": numbers,
            "per_class": {"ap": ranking.ap, "auc": ranking.auc},
            "postprocess": to_json(best.postprocess),
            "sha256": checkpoint.fingerprint,
        }

    def _scores(self, model: WeakDetector) -> HeldOut:
        return held_out(model, self.clips.examples, self.split.validation_places)
