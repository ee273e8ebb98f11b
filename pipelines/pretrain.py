"""pretrain: a masked audio model on the posteriors of prototypes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cluster.storage import absolute
from pipelines.examples import Example, ExampleReader
from pipelines.frame_jobs import open_frames
from pipelines.ledger import Stage, fingerprint_of, run_stage
from pipelines.train_job import TrainSettings, run_training
from pipelines.urls import (
    dataset_fingerprint,
    prototypes_fingerprint,
    read_checkpoint,
    read_prototypes,
    store,
    write_checkpoint,
)
from pmam.checkpoint import pack_masked, start_backbone, unpack
from pmam.detector import ContextSettings, MaskedAudioModel
from pmam.pretraining import PretextBatch, PretextSettings, Pretraining
from shards.reader import Dataset
from shards.store import Store
from shards.stream import BatchOrder, Group

CHECKPOINT = "pretrained"


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """The context network, what is masked, and how it is trained."""

    # Size of the context network.
    context: ContextSettings = field(default_factory=ContextSettings)
    # Masking and loss.
    pretext: PretextSettings = field(default_factory=PretextSettings)
    # Steps, batches and learning rates.
    training: TrainSettings = field(default_factory=TrainSettings)


class PretrainTask:
    """Masked prediction of posteriors, on the clips that have them."""

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
        self.model = MaskedAudioModel(backbone, means.shape[1])
        self.module: nn.Module = Pretraining(self.model, means, settings.pretext)
        self.posteriors = open_frames(posteriors)
        rows = [row for row in Dataset.open(store(dataset)).rows if row.key in self.posteriors]
        self.groups = {
            subset: [row for row in rows if row.subset == subset] for subset in training.batch
        }
        sizes = {
            name: Group(size=len(members), per_batch=training.batch[name])
            for name, members in self.groups.items()
        }
        self.order = BatchOrder(sizes, training.seed)
        cached = None if cached_inputs is None else open_frames(cached_inputs)
        self.reader = ExampleReader(
            Dataset.open(store(dataset)),
            self.model.backbone.encoder,
            training.crop_s,
            cached,
            training.seed,
        )

    def batch(self, step: int, rank: int, world: int) -> list[Example]:
        """The crops of one step."""
        chosen = self.order.batch(step, rank, world)
        rows = [self.groups[name][index] for name in chosen for index in chosen[name]]
        return [self.reader.read(row, step) for row in rows]

    def loss(
        self, module: nn.Module, batch: list[Example], step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The masked prediction loss."""
        targets = [self.reader.frame_targets(e, self.posteriors.read(e.row.key)) for e in batch]
        inputs = self.reader.inputs(batch)
        examples = PretextBatch(
            inputs=inputs,
            posteriors=torch.from_numpy(np.stack(targets)).to(inputs.device),
            padding=self.reader.padding(batch).to(inputs.device),
        )
        result: tuple[Tensor, dict[str, Tensor]] = module(examples, generator)
        return result

    def after_step(self, step: int) -> None:
        """Nothing follows the model in pretraining."""

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write the pretrained model."""
        checkpoint = pack_masked(self.model)
        write_checkpoint(folder, CHECKPOINT, checkpoint)
        return {"sha256": checkpoint.fingerprint}


def pretrain(
    dataset_url: str,
    out: str,
    settings: PretrainSettings,
    *,
    posteriors: str,
    prototypes: str,
    start: str,
    cached_inputs: str | None = None,
    name: str = "pretrain",
    fresh: bool = False,
) -> str:
    """Pretrain; returns the URL of the stage, which holds `pretrained.safetensors`.

    Args:
        dataset_url: the dataset.
        out: the folder of the pretrained model.
        settings: model, masking and training.
        posteriors: URL of the labels.
        prototypes: URL of the fit.
        start: checkpoint to start from: an encoder, or a model whose backbone goes on.
        cached_inputs: as for `embed`.
        name: of the stage.
        fresh: start over.
    """
    dataset_url, out = absolute(dataset_url), absolute(out)
    inputs: Mapping[str, str] = {
        "dataset": dataset_fingerprint(dataset_url),
        "posteriors": fingerprint_of(posteriors),
        "prototypes": prototypes_fingerprint(prototypes),
        "start": read_checkpoint(start).fingerprint,
        **({"cached_inputs": fingerprint_of(cached_inputs)} if cached_inputs else {}),
    }
    arguments = {
        "dataset": dataset_url,
        "posteriors": absolute(posteriors),
        "prototypes": absolute(prototypes),
        "start": absolute(start),
        "cached_inputs": None if cached_inputs is None else absolute(cached_inputs),
        "settings": settings,
    }

    def work(stage: Stage) -> dict[str, Any]:
        return run_training(stage, PretrainTask, arguments, settings.training)

    run_stage(name, out, work, settings=settings, inputs=inputs, fresh=fresh)
    return out
