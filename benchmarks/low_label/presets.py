"""The settings of all arms, chosen on validation clips: those of the product's stages."""

from dataclasses import replace
from typing import Any

from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.settings import FinetuneSettings, PretrainSettings
from pipelines.training.settings import TrainSettings
from pmam.models.settings import ContextSettings
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.settings import OptimizerSettings

CONTEXT = ContextSettings(width=96, layers=3, heads=4, hidden=192, dropout=0.0)

FIT = FitSettings(k=30, pca=48, subsets=("unlabeled",))

PRETRAIN = PretrainSettings(
    context=CONTEXT,
    pretext=PretextSettings(mask=MaskSettings(rate=0.75, block_s=0.4)),
    training=TrainSettings(
        optimizer=OptimizerSettings(steps=400, body_lr=1e-3, head_lr=1e-3, warm_up_steps=20),
        batch={"unlabeled": 24},  # of all training clips
    ),
)

# A few strong clips alone: no weak or unlabelled clips, no consistency.
FEW = FinetuneSettings(
    context=CONTEXT,
    losses=FinetuneLossSettings(consistency_weight=0.0),
    ema_limit=0.99,
    validate_every=0,
    training=TrainSettings(
        optimizer=OptimizerSettings(steps=120, body_lr=4e-3, head_lr=1e-2), batch={"strong": 5}
    ),
)

ALL = replace(
    FEW,
    losses=FinetuneLossSettings(consistency_weight=2.0, consistency_ramp_steps=100),
    training=TrainSettings(
        optimizer=OptimizerSettings(steps=200, body_lr=1e-3, head_lr=1e-2),
        batch={"strong": 8, "weak": 8, "unlabeled": 8},
    ),
)


def optimised(settings: Any, **changes: Any) -> Any:
    """Settings of a training with changes of the optimizer."""
    training = settings.training
    optimizer = replace(training.optimizer, **changes)
    return replace(settings, training=replace(training, optimizer=optimizer))


# Half as long, so that many arms can be compared.
SHORT: PretrainSettings = optimised(PRETRAIN, steps=200)

SIXTY = replace(FEW, training=replace(FEW.training, batch={"strong": 8}))

# The same steps and rates as with labels alone.
TEACHER = replace(
    ALL,
    losses=FinetuneLossSettings(consistency_weight=2.0, consistency_ramp_steps=60),
    training=replace(ALL.training, optimizer=FEW.training.optimizer),
)

# Iterations after the first.
LATER: dict[str, Any] = {"layer": "context"}
