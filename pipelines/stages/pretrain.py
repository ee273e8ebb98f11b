"""pretrain: a masked audio model on the posteriors of prototypes."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from pipelines.runtime.declared import (
    CheckpointUrl,
    DatasetUrl,
    PrototypesUrl,
    StageUrl,
    Work,
    stage_function,
)
from pipelines.runtime.files.urls import (
    open_dataset,
    read_checkpoint,
    read_prototypes,
    write_checkpoint,
)
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.stages.settings import PretrainSettings
from pipelines.training.examples import TrainingClips
from pipelines.training.job import run_training
from pipelines.training.prototype_targets import PrototypeTargets
from pipelines.training.recorder import WORKING
from pmam.models.checkpoint import pack_masked, unpack
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.start import start_backbone
from pmam.objectives.collapse import collapse, health
from pmam.objectives.masked_prediction import MaskedBatch, Pretraining
from pmam.training.clip_draws import Random
from pmam.training.settings import Plateau
from shards.io.store import Store
from shards.loading.examples import Example

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 2

CHECKPOINT = "pretrained"
WATCH_EVERY = 50  # steps between two looks for a collapsed network
log = logging.getLogger("pmam")


class PretrainTask:
    """Masked prediction of posteriors, on the clips that have them."""

    plateau: Plateau | None = None

    def __init__(
        self,
        dataset: str,
        posteriors: str,
        prototypes: str,
        start: str,
        cached_inputs: str | None,
        settings: PretrainSettings,
    ) -> None:
        training = settings.training
        torch.manual_seed(training.seed)
        means = read_prototypes(prototypes).means_in_feature_space()
        backbone = start_backbone(unpack(read_checkpoint(start), start), settings.context, start)
        self.model = MaskedAudioModel(backbone, means.shape[1], prototypes=len(means))
        self.module = Pretraining(self.model, means, settings.pretext)
        self.targets = PrototypeTargets(posteriors, prototypes, len(means), backbone)
        self.warned, self.steps = False, training.optimizer.steps
        settings.pretext.mask.check(training.crop_s, backbone.encoder.hop_s)
        packed = open_dataset(dataset)
        self.clips = TrainingClips(
            packed,
            backbone.encoder,
            batch=training.batch,
            crop_s=training.crop_s,
            seed=training.seed,
            stored_inputs=cached_inputs,
            cache_gb=training.cache_gb,
            keys=self.targets.frames,
        )
        self.examples = self.clips.examples

    def prepare(self, batch: list[Example], step: int, random: Random) -> MaskedBatch:
        """Tensors of some clips, with what is masked of them."""
        return self.module.prepare(self.targets.batch(batch, self.examples), random)

    def after_step(self, step: int) -> None:
        """Nothing follows the model in pretraining."""

    def watch(self, step: int, values: dict[str, float]) -> dict[str, float]:
        """Whether predictions of prototypes still say anything; warns once where they do not."""
        found = health(values)
        if step % WATCH_EVERY == WATCH_EVERY - 1 and not self.warned:
            warning = collapse(values | found)
            if warning:
                log.warning("step %d: %s", step, warning)
            self.warned = warning is not None
        return found

    def validate(self, step: int) -> dict[str, float]:
        """Pretraining has no validation."""
        return {}

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write the pretrained model."""
        checkpoint = pack_masked(self.model)
        write_checkpoint(folder, CHECKPOINT, checkpoint)
        return {
            "steps": self.steps,
            "clips": self.clips.count,
            "sha256": checkpoint.fingerprint,
        }


@stage_function(ALGORITHM_VERSION)
def pretrain(
    dataset: DatasetUrl,
    out: str,
    settings: PretrainSettings,
    *,
    posteriors: StageUrl,
    prototypes: PrototypesUrl,
    start: CheckpointUrl,
    cached_inputs: StageUrl | None = None,
    name: str = "pretrain",
    fresh: bool = False,
) -> Work:
    """Pretrain; returns the URL of the stage, which holds `pretrained.safetensors`.

    Args:
        dataset: the dataset.
        out: the folder of the pretrained model.
        settings: model, masking and training.
        posteriors: URL of the labels.
        prototypes: URL of the fit.
        start: checkpoint to start from: an encoder, or a model whose backbone goes on.
        cached_inputs: as for `embed`.
        name: of the stage.
        fresh: start over.
    """
    arguments = {
        "dataset": dataset,
        "posteriors": posteriors,
        "prototypes": prototypes,
        "start": start,
        "cached_inputs": cached_inputs,
        "settings": settings,
    }

    def work(stage: Stage) -> dict[str, Any]:
        return run_training(stage, PretrainTask, arguments, settings.training)

    return Work(
        do=work,
        settings=replace(settings, training=settings.training.identity),
        summary=_summary,
        working=WORKING,
    )


def _summary(result: Mapping[str, Any]) -> str:
    steps, clips = counted(result["steps"], "step"), counted(result["clips"], "clip")
    return f"pretrained {steps} on {clips}"
