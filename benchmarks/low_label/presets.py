"""The settings of all arms, chosen on validation clips."""

from dataclasses import replace
from typing import Any

from low_label.training import Finetune, Pretrain

from pmam.models.settings import ContextSettings
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.settings import OptimizerSettings

CONTEXT = ContextSettings(width=96, layers=3, heads=4, hidden=192, dropout=0.0)

PRETRAIN = Pretrain(
    k=30,
    pca=48,
    frame_step=2,
    pretext=PretextSettings(mask=MaskSettings(rate=0.75, block_s=0.4)),
    optimizer=OptimizerSettings(steps=400, body_lr=1e-3, head_lr=1e-3, warm_up_steps=20),
    batch=24,
)

# Half as long, so that many arms can be compared.
SHORT = replace(PRETRAIN, optimizer=replace(PRETRAIN.optimizer, steps=200))

# A few strong clips alone: no weak or unlabelled clips, no consistency.
FEW = Finetune(
    losses=FinetuneLossSettings(consistency_weight=0.0),
    optimizer=OptimizerSettings(steps=120, body_lr=4e-3, head_lr=1e-2),
    batch={"strong": 5},
    ema_limit=0.99,
)

SIXTY = replace(FEW, batch={"strong": 8})

# Iterations after the first.
LATER: dict[str, Any] = {"layer": "context"}

ALL = Finetune(
    losses=FinetuneLossSettings(consistency_weight=2.0, consistency_ramp_steps=100),
    optimizer=OptimizerSettings(steps=200, body_lr=1e-3, head_lr=1e-2),
    batch={"strong": 8, "weak": 8, "unlabeled": 8},
    ema_limit=0.99,
)

# The same steps and rates as with labels alone.
TEACHER = replace(
    ALL,
    losses=FinetuneLossSettings(consistency_weight=2.0, consistency_ramp_steps=60),
    optimizer=FEW.optimizer,
)
