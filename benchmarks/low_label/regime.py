"""Arms of a pretraining that pays: the loss on all frames, light masks, noise and mixup."""

from dataclasses import replace

from low_label import presets
from low_label.recipes import Arm, Recipe

from pipelines.stages.settings import FinetuneSettings, PretrainSettings
from pmam.augment.settings import AugmentSettings
from pmam.objectives.settings import AuxiliarySettings, FinetuneLossSettings, MaskSettings

STRONG = 20
TEMPERATURE = 0.2
AUGMENT = AugmentSettings(mixup_share=0.5, mixup_beta=(1.0, 1.0), input_noise=0.5)
CROP_S = 5.12
RECONSTRUCTION = 0.1


def _long() -> PretrainSettings:
    """1 600 steps of 32 crops, the loss on all frames."""
    base: PretrainSettings = presets.optimised(presets.PRETRAIN, steps=1600)
    pretext = replace(
        base.pretext,
        mask=MaskSettings(rate=0.3, block_s=0.4),
        unmasked_weight=1.0,
        temperature=TEMPERATURE,
        augment=AUGMENT,
    )
    training = replace(base.training, batch={"unlabeled": 32}, crop_s=CROP_S)
    return replace(base, pretext=pretext, training=training)


def _published() -> PretrainSettings:
    """400 steps with the loss on masked frames alone, at twice the published temperature."""
    pretext = replace(presets.PRETRAIN.pretext, temperature=TEMPERATURE)
    return replace(presets.PRETRAIN, pretext=pretext)


LONG = Recipe(pretrain=_long())
MASKED = Recipe(pretrain=_published())
PLAIN: FinetuneSettings = presets.FEW
AUGMENTED: FinetuneSettings = replace(presets.optimised(PLAIN, steps=240), augment=AUGMENT)
WITH_PROTOTYPES = replace(
    AUGMENTED,
    auxiliary=AuxiliarySettings(
        weight=0.5, mask=MaskSettings(rate=0.75, block_s=0.4), temperature=TEMPERATURE
    ),
    training=replace(AUGMENTED.training, batch={"strong": 5, "unlabeled": 8}),
)
TEACHER = replace(
    AUGMENTED,
    losses=FinetuneLossSettings(consistency_weight=2.0, consistency_ramp_steps=100),
    training=replace(AUGMENTED.training, batch={"strong": 5, "unlabeled": 8}),
)


def weak(settings: FinetuneSettings) -> FinetuneSettings:
    """The same with eight weakly labelled clips in each batch."""
    batch = {**settings.training.batch, "weak": 8}
    return replace(settings, training=replace(settings.training, batch=batch))


def reconstructing(settings: FinetuneSettings) -> FinetuneSettings:
    """The same with the inputs reconstructed beside (MTL's auxiliary task)."""
    return replace(settings, losses=replace(settings.losses, reconstruction_weight=RECONSTRUCTION))


def _arm(recipe: Recipe | None, settings: FinetuneSettings) -> Arm:
    return Arm(recipe=recipe, finetune={STRONG: settings})


BASELINE = "labels, augmented"
BEST = "L, prototypes too"
NO_PROTOTYPES = "mean teacher"
# In this order: a benchmark that is stopped early has the first ones.
ARMS = {
    "labels alone": _arm(None, PLAIN),
    BASELINE: _arm(None, AUGMENTED),
    "L, plain": _arm(LONG, PLAIN),
    "L, augmented": _arm(LONG, AUGMENTED),
    BEST: _arm(LONG, WITH_PROTOTYPES),
    "masked, augm.": _arm(MASKED, AUGMENTED),
    NO_PROTOTYPES: _arm(None, TEACHER),
    "L shuffled": _arm(replace(LONG, shuffled=True), AUGMENTED),
    "labels + weak": _arm(None, weak(AUGMENTED)),
    "L + weak": _arm(LONG, weak(AUGMENTED)),
    "L, prot. + weak": _arm(LONG, weak(WITH_PROTOTYPES)),
    "teacher + weak": _arm(None, weak(TEACHER)),
    "labels, reconstr.": _arm(None, reconstructing(AUGMENTED)),
}
