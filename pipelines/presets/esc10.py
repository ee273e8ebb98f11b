"""The runs on EfficientAT's mn04, frozen, with its AudioSet weights: fast on a CPU."""

from dataclasses import replace

from pipelines.presets.settings import RunSettings
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.settings import (
    EmbedSettings,
    FinetuneSettings,
    PackSettings,
    PretrainSettings,
    SoundscapesSettings,
)
from pipelines.training.settings import TrainSettings
from pmam.encoders.settings import EncoderSettings
from pmam.events.settings import PostprocessSettings
from pmam.models.settings import ContextSettings
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.settings import OptimizerSettings
from shards.clip import TRAINING_SUBSETS

# Every clip's inputs are kept, so that no later stage runs the encoder again.
ALL_SUBSETS = (*TRAINING_SUBSETS, "validation", "test")
# Source recordings of ESC-10 are never shared between these folds.
ESC10_FOLDS = {"train": ("1", "2", "3"), "validation": ("4",), "test": ("5",)}


def esc10() -> RunSettings:
    """Soundscapes of ESC-10 recordings, EfficientAT mn04 with its AudioSet weights.

    The numbers are those that `benchmarks/esc10_low_label.py` chose on validation clips.
    """
    context = ContextSettings(dropout=0.0)
    return RunSettings(
        soundscapes=SoundscapesSettings(folds=ESC10_FOLDS),
        pack=PackSettings(name="esc10-soundscapes", licence="CC BY-NC 3.0", shard_mb=32.0),
        encoder=EncoderSettings(name="mn04", pca=128),
        iterations=1,
        embed=EmbedSettings(subsets=ALL_SUBSETS),
        cached_inputs=True,
        fit=FitSettings(k=30, pca=48),
        pretrain=PretrainSettings(
            context=context,
            pretext=PretextSettings(mask=MaskSettings(rate=0.75, block_s=0.4)),
            training=TrainSettings(
                batch={"strong": 1, "weak": 3, "unlabeled": 20},
                optimizer=OptimizerSettings(steps=400, body_lr=1e-3, head_lr=1e-3),
            ),
        ),
        finetune=FinetuneSettings(
            context=context,
            losses=FinetuneLossSettings(consistency_weight=2.0, consistency_ramp_steps=100),
            training=TrainSettings(
                batch={"strong": 8, "weak": 8, "unlabeled": 8},
                optimizer=OptimizerSettings(steps=200, body_lr=1e-3, head_lr=1e-2),
            ),
            postprocess=PostprocessSettings(median_s=0.7),
        ),
    )


def own_data() -> RunSettings:
    """Your own recordings, or DESED (`--pack.source desed`), on a CPU.

    As `esc10`, with more steps; nobody has tuned them on your recordings.
    """
    base = esc10()

    def longer(training: TrainSettings, steps: int) -> TrainSettings:
        return replace(training, optimizer=replace(training.optimizer, steps=steps))

    tuning = replace(
        longer(base.finetune.training, 600),
        batch={"strong": 6, "synthetic": 2, "weak": 8, "unlabeled": 8},
    )
    return replace(
        base,
        soundscapes=None,
        pack=PackSettings(name="dataset"),
        pretrain=replace(base.pretrain, training=longer(base.pretrain.training, 1000)),
        finetune=replace(base.finetune, training=tuning),
    )
