"""The trainings that are compared: prototypes, masked pretraining, fine-tuning."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from low_label.data import Clips, Data
from torch import Tensor

from pmam.clustering.kmeans import kmeans
from pmam.clustering.pca import fit_projection, moments
from pmam.mixture.gaussian_mixture import GaussianMixture
from pmam.models.backbone import Backbone
from pmam.models.detector import Detector
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, ModelSettings
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.settings import FinetuneLossSettings, PretextSettings
from pmam.objectives.teacher import follow
from pmam.prototypes.artifact import Prototypes
from pmam.training.schedules import ema_decay
from pmam.training.settings import OptimizerSettings
from pmam.training.trainer import Trainer
from shards.loading.sampling import BatchOrder, Group


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Prototypes and the masked audio model."""

    k: int
    pca: int
    frame_step: int  # neighbouring frames are much alike: 2 lets EM see every second one
    pretext: PretextSettings
    optimizer: OptimizerSettings
    batch: int


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """The detector's training."""

    losses: FinetuneLossSettings
    optimizer: OptimizerSettings
    batch: Mapping[str, int]
    ema_limit: float


def fit_prototypes(
    frames: Tensor, settings: Pretrain, kind: str, seed: int, *, standardise: bool = False
) -> Prototypes:
    """Prototypes of frames `(N, T, D)`; a mixture of full covariance, or k-means."""
    rows = frames[:, :: settings.frame_step].flatten(0, 1)
    # The inputs are principal components: standardised again they would all weigh the same, and
    # the choice of the first ones would be arbitrary.
    projection = fit_projection(moments(rows), settings.pca, standardise=standardise)
    projected = projection.apply(rows)
    if kind == "kmeans":
        result = kmeans(projected, settings.k, seed=seed)
        weights = result.counts / result.counts.sum()
        return Prototypes(
            kind="kmeans", weights=weights, means=result.centers, projection=projection
        )
    fitted = GaussianMixture(settings.k, seed=seed).fit(projected)
    parameters = fitted.parameters_
    return Prototypes(
        kind="gmm",
        weights=parameters.weights,
        means=parameters.means,
        covariance_type=parameters.covariance_type,
        covariances=parameters.covariances,
        projection=projection,
        log_likelihoods=fitted.log_likelihoods_,
    )


def new_backbone(data: Data, context: ContextSettings, seed: int) -> Backbone:
    """A context network with fresh weights over the calibrated encoder."""
    torch.manual_seed(seed)
    backbone = Backbone(ModelSettings(encoder=data.encoder.settings, context=context))
    backbone.encoder.load_state_dict(data.encoder.state_dict())
    return backbone


def pretrain(
    backbone: Backbone,
    inputs: Tensor,
    posteriors: Tensor,
    means: Tensor,
    settings: Pretrain,
    seed: int,
) -> Backbone:
    """Train a copy of the backbone on masked prediction of posteriors `(N, T, K)`."""
    torch.manual_seed(seed)
    model = MaskedAudioModel(copy.deepcopy(backbone), means.shape[1])
    module = Pretraining(model, means, settings.pretext).train()
    order = BatchOrder({"all": Group(size=len(inputs), per_batch=settings.batch)}, seed)
    trainer = Trainer(module, settings.optimizer, seed)
    padding = torch.zeros(settings.batch, inputs.shape[1], dtype=torch.bool)

    def step_function(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = torch.from_numpy(order.batch(step)["all"])
        batch = PretextBatch(inputs=inputs[chosen], posteriors=posteriors[chosen], padding=padding)
        return module(batch, generator)

    while trainer.step < settings.optimizer.steps:
        trainer.take_step(step_function)
    return model.backbone


def finetune(
    backbone: Backbone,
    subsets: Mapping[str, Clips],
    classes: Sequence[str],
    settings: Finetune,
    seed: int,
) -> tuple[Detector, Detector]:
    """Train a copy of the backbone as a detector; returns student and teacher."""
    torch.manual_seed(seed)
    student = Detector(copy.deepcopy(backbone), tuple(classes))
    module = Finetuning(student, settings.losses).train()
    order = BatchOrder(
        {n: Group(size=len(c), per_batch=settings.batch.get(n, 0)) for n, c in subsets.items()},
        seed,
    )
    trainer = Trainer(module, settings.optimizer, seed)

    def step_function(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = {n: torch.from_numpy(index) for n, index in order.batch(step).items()}
        return module(labelled_batch(subsets, chosen), step, generator)

    while trainer.step < settings.optimizer.steps:
        trainer.take_step(step_function)
        follow(module.teacher, student, ema_decay(trainer.step - 1, settings.ema_limit))
    return student.eval(), module.teacher.eval()


def labelled_batch(subsets: Mapping[str, Clips], chosen: Mapping[str, Tensor]) -> LabelledBatch:
    """Clips of several subsets; what a subset is not labelled with is hidden."""
    inputs = torch.cat([subsets[n].inputs[i] for n, i in chosen.items()])
    events = torch.cat([subsets[n].targets[i] * float(n == "strong") for n, i in chosen.items()])
    tags = torch.cat([subsets[n].tags[i] * float(n != "unlabeled") for n, i in chosen.items()])
    kinds = [n for n, i in chosen.items() for _ in i]
    return LabelledBatch(
        inputs=inputs,
        padding=torch.zeros(inputs.shape[:2], dtype=torch.bool),
        events=events,
        tags=tags,
        has_events=torch.tensor([kind == "strong" for kind in kinds]),
        has_tags=torch.tensor([kind == "weak" for kind in kinds]),
    )


@torch.inference_mode()
def frame_scores(detector: Detector, inputs: Tensor) -> np.ndarray:
    """Probabilities `(N, T, classes)`."""
    return torch.cat([detector(part).frames for part in inputs.split(64)]).numpy()
