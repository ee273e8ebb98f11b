"""What a run is, and the runs that have a name; each is derived from another by `replace`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from pipelines.embed import EmbedSettings
from pipelines.evaluate import EvaluateSettings
from pipelines.finetune import FinetuneSettings
from pipelines.fit import FitSettings
from pipelines.label import LabelSettings
from pipelines.pack import PackSettings
from pipelines.pretrain import PretrainSettings
from pipelines.score import ScoreSettings
from pipelines.soundscapes import SoundscapesSettings
from pipelines.train_job import TrainSettings
from pmam.detector import ContextSettings
from pmam.encoders import EncoderSettings
from pmam.finetuning import FinetuneLossSettings
from pmam.masking import MaskSettings
from pmam.pretraining import PretextSettings
from pmam.smoothing import SmoothingSettings
from pmam.training import OptimizerSettings
from shards.demo_sounds import TEXTURES
from shards.soundscape_types import SoundscapeSettings

ALL_SUBSETS = ("strong", "synthetic", "weak", "unlabeled", "validation", "test")
# Source recordings of ESC-10 are never shared between these folds.
ESC10_FOLDS = {"train": ("1", "2", "3"), "validation": ("4",), "test": ("5",)}

SMALL_CONTEXT = ContextSettings(width=64, layers=2, heads=4, hidden=128)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """A whole run: everything that decides its numbers."""

    # Where the recordings are: raw audio to pack, or what soundscapes are made of; None: the
    # demo synthesises its own.
    data: str | None = None
    # Make soundscapes out of the recordings first; None: pack the recordings as they are.
    soundscapes: SoundscapesSettings | None = None
    pack: PackSettings = field(default_factory=PackSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    # How often prototypes are fitted and a model is pretrained on them; 0: labels alone.
    iterations: int = 2
    embed: EmbedSettings = field(default_factory=EmbedSettings)
    # The layer of the pretrained model that later iterations embed.
    later_layer: str = "context"
    # A later iteration goes on with the model of the one before, or starts anew (as HuBERT).
    later_start: Literal["continue", "anew"] = "continue"
    # Training reads the encoder's inputs that the first iteration stored, instead of audio:
    # for encoders whose own weights are frozen.
    cached_inputs: bool = False
    fit: FitSettings = field(default_factory=FitSettings)
    label: LabelSettings = field(default_factory=LabelSettings)
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    finetune: FinetuneSettings = field(default_factory=FinetuneSettings)
    # Also train a detector on the labels alone, for as many steps, and set it beside.
    baseline: bool = True
    score: ScoreSettings = field(default_factory=ScoreSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)


def demo() -> RunSettings:
    """Eight synthetic sounds, a small encoder from scratch, minutes on two cores.

    It shows every part at work. In so few steps, an encoder that starts from nothing gains
    little from pretraining: `esc10` and its benchmark show what it is worth.
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
            folds=ESC10_FOLDS, counts=counts, scene=scene, clips_per_part=95
        ),
        pack=PackSettings(name="demo", licence="CC0-1.0", shard_mb=12.0),
        encoder=EncoderSettings(name="small_cnn"),
        # With so few steps, a model that goes on with new prototypes loses what it had learnt.
        later_start="anew",
        embed=EmbedSettings(keep_every=4),
        fit=FitSettings(k=24, pca=24, iterations=20),
        pretrain=PretrainSettings(
            context=SMALL_CONTEXT,
            pretext=PretextSettings(mask=MaskSettings(rate=0.5, block_s=0.16)),
            training=replace(
                crop,
                batch={"strong": 2, "weak": 4, "unlabeled": 10},
                optimizer=OptimizerSettings(steps=80, body_lr=1e-3, head_lr=1e-3),
            ),
        ),
        finetune=FinetuneSettings(
            context=SMALL_CONTEXT,
            losses=FinetuneLossSettings(consistency_weight=1.0, consistency_ramp_steps=60),
            training=replace(
                crop,
                batch={"strong": 6, "weak": 6, "unlabeled": 4},
                optimizer=OptimizerSettings(steps=120, body_lr=1e-3, head_lr=5e-3),
            ),
        ),
    )


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
        ),
        evaluate=EvaluateSettings(smoothing=SmoothingSettings(width_s=0.7)),
    )


def own_data() -> RunSettings:
    """Your own recordings and labels, in the layout of the source `folder`."""
    small = demo()

    def longer(training: TrainSettings, steps: int) -> TrainSettings:
        return replace(training, crop_s=10.0, optimizer=replace(training.optimizer, steps=steps))

    return replace(
        small,
        soundscapes=None,
        pack=PackSettings(name="dataset"),
        fit=FitSettings(k=30, pca=32),
        pretrain=replace(small.pretrain, training=longer(small.pretrain.training, 400)),
        finetune=replace(small.finetune, training=longer(small.finetune.training, 300)),
    )


PRESETS: dict[str, Callable[[], RunSettings]] = {
    "demo": demo,
    "esc10": esc10,
    "own_data": own_data,
}
