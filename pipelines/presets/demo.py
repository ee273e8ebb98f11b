"""The runs of a small encoder from scratch: on synthetic sounds, or anybody's recordings."""

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
from pmam.models.settings import ContextSettings
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.settings import OptimizerSettings
from shards.soundscapes.scene import SoundscapeSettings

# The demo's sounds are made per fold; no sound is in two of these.
FOLDS = {"train": ("1", "2", "3"), "validation": ("4",), "test": ("5",)}
TEXTURES = ("engine", "water")  # sounds that go on and on
CONTEXT = ContextSettings(width=64, layers=2, heads=4, hidden=128)


def demo() -> RunSettings:
    """Eight synthetic sounds, a small encoder from scratch, minutes on two cores.

    It shows every part at work, and compares nothing: in so few steps an encoder that starts from
    nothing gains nothing surely from pretraining. What that is worth is measured on real
    recordings with a pretrained encoder, by `benchmarks/esc10_regime.py`.
    """
    scene = SoundscapeSettings(
        duration_s=4.0,
        sample_rate_hz=16000,
        events_max=3,
        event_max_s=2.5,
        texture_min_s=0.8,
        textures=TEXTURES,
        snr_max_db=20.0,
    )
    counts = {"strong": 60, "weak": 100, "unlabeled": 280, "validation": 50, "test": 80}
    crop = TrainSettings(crop_s=4.0)
    return RunSettings(
        soundscapes=SoundscapesSettings(
            folds=FOLDS,
            counts=counts,
            scene=scene,
            shards=True,
            clips_per_part=143,  # a quarter of them: of two workers both have work to the end
            name="demo",
            licence="CC0-1.0",
        ),
        encoder=EncoderSettings(name="small_cnn"),
        # With so few steps, a model that goes on with new prototypes loses what it had learnt.
        later_start="anew",
        baseline=False,
        embed=EmbedSettings(keep_every=4),
        fit=FitSettings(k=24, pca=24, iterations=20),
        pretrain=PretrainSettings(
            context=CONTEXT,
            pretext=PretextSettings(mask=MaskSettings(rate=0.5, block_s=0.16)),
            training=replace(
                crop,
                batch={"strong": 2, "weak": 4, "unlabeled": 10},
                optimizer=OptimizerSettings(steps=80, body_lr=1e-3, head_lr=1e-3),
            ),
        ),
        finetune=FinetuneSettings(
            context=CONTEXT,
            losses=FinetuneLossSettings(consistency_weight=1.0, consistency_ramp_steps=60),
            training=replace(
                crop,
                batch={"strong": 6, "weak": 6, "unlabeled": 4},
                optimizer=OptimizerSettings(steps=120, body_lr=1e-3, head_lr=5e-3),
            ),
        ),
    )


def own_data_scratch() -> RunSettings:
    """Your own recordings and labels, and an encoder that starts from nothing: no download."""
    small = demo()

    def longer(training: TrainSettings, steps: int) -> TrainSettings:
        return replace(training, crop_s=10.0, optimizer=replace(training.optimizer, steps=steps))

    return replace(
        small,
        soundscapes=None,
        baseline=True,
        pack=PackSettings(name="dataset"),
        fit=FitSettings(k=30, pca=32),
        pretrain=replace(small.pretrain, training=longer(small.pretrain.training, 400)),
        finetune=replace(small.finetune, training=longer(small.finetune.training, 300)),
    )
