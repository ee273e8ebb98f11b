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
from pipelines.stages.tag.settings import WordLabelSettings
from pipelines.training.settings import TrainSettings
from pmam.augment.settings import AugmentSettings
from pmam.encoders.settings import EncoderSettings
from pmam.events.settings import PostprocessSettings
from pmam.models.settings import ContextSettings
from pmam.objectives.settings import (
    AuxiliarySettings,
    FinetuneLossSettings,
    MaskSettings,
    PretextSettings,
)
from pmam.training.settings import OptimizerSettings
from shards.clip import TRAINING_SUBSETS

# Every clip's inputs are kept, so that no later stage runs the encoder again.
ALL_SUBSETS = (*TRAINING_SUBSETS, "validation", "test")
# Source recordings of ESC-10 are never shared between these folds.
ESC10_FOLDS = {"train": ("1", "2", "3"), "validation": ("4",), "test": ("5",)}


# Noise of .5 standard deviations, half of the batches mixed, and the steps for it: +.040 frame AP,
# +.053 PSDS2 with labels alone.
AUGMENT = AugmentSettings(mixup_share=0.5, mixup_beta=(1.0, 1.0), input_noise=0.5)
# Softer predictions: +.018 frame AP in pretraining on masked frames.
TEMPERATURE = 0.2
BLOCK_S = 0.4


def esc10() -> RunSettings:
    """Soundscapes of ESC-10 recordings, EfficientAT mn04 with its AudioSet weights.

    What a setting is worth stands beside it: on test clips, with 20 strong ones to learn from, by
    `benchmarks/esc10_regime.py` and `esc10_ablation.py`. Beside weak clips, which this preset
    has, pretraining adds little: see `benchmarks/README.md`.
    """
    context = ContextSettings(dropout=0.0)
    return RunSettings(
        soundscapes=SoundscapesSettings(
            folds=ESC10_FOLDS, shards=True, name="esc10-soundscapes", licence="CC BY-NC 3.0"
        ),
        encoder=EncoderSettings(name="mn04", pca=128),
        # A second one has never paid here: -.008 frame AP.
        iterations=1,
        embed=EmbedSettings(subsets=ALL_SUBSETS),
        cached_inputs=True,
        # K 20 and 50 are within .007 frame AP; k-means is .024 behind.
        fit=FitSettings(k=30, pca=48),
        pretrain=PretrainSettings(
            context=context,
            # All frames, light masks, noise, mixup and 1 600 steps: together +.028 frame AP and
            # +.057 PSDS2 over 400 steps on masked frames alone, with the same fine-tuning.
            pretext=PretextSettings(
                mask=MaskSettings(rate=0.3, block_s=BLOCK_S),
                unmasked_weight=1.0,
                temperature=TEMPERATURE,
                augment=AUGMENT,
            ),
            training=TrainSettings(
                crop_s=5.12,
                batch={"strong": 1, "weak": 4, "unlabeled": 27},
                optimizer=OptimizerSettings(steps=1600, body_lr=1e-3, head_lr=1e-3),
            ),
        ),
        finetune=FinetuneSettings(
            context=context,
            # No teacher's consistency: beside weak clips it costs .043 PSDS2 (.006 frame AP).
            losses=FinetuneLossSettings(consistency_weight=0.0),
            augment=AUGMENT,
            # +.010 frame AP, +.017 PSDS2 after the same pretraining, with strong clips alone.
            auxiliary=AuxiliarySettings(
                weight=0.5,
                mask=MaskSettings(rate=0.75, block_s=BLOCK_S),
                temperature=TEMPERATURE,
            ),
            ema_limit=0.99,
            training=TrainSettings(
                batch={"strong": 5, "weak": 8, "unlabeled": 8},
                optimizer=OptimizerSettings(steps=240, body_lr=4e-3, head_lr=1e-2),
            ),
            postprocess=PostprocessSettings(median_s=0.7),
        ),
    )


def own_data() -> RunSettings:
    """Your own recordings, or DESED (`--pack.source desed`), on a CPU.

    As `esc10`, with more steps of fine-tuning; nobody has tuned them on your recordings.
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
        finetune=replace(base.finetune, training=tuning),
    )


def words() -> RunSettings:
    """Your own recordings without any label: words name what a tagger hears in them (TMRL).

    `--words.events 'dog barking, car horn'`; the detector is trained on what they say of the
    training clips, and compared with the labels of validation and test clips where these have any.
    """
    base = own_data()
    return replace(
        base,
        words=WordLabelSettings(),
        iterations=0,
        baseline=False,
        finetune=replace(
            base.finetune,
            auxiliary=AuxiliarySettings(),
            training=replace(base.finetune.training, batch={"weak": 16}),
        ),
    )
