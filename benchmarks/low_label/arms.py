"""The arms of the ablation: each differs from PMAM's first iteration in one thing."""

from dataclasses import replace

from low_label import presets
from low_label.recipes import Arm, Recipe

from pipelines.stages.settings import FinetuneSettings

LABELS_ALONE = {20: presets.FEW, 60: presets.SIXTY}
TEACHER = {20: presets.TEACHER, 60: presets.TEACHER}
FIRST = Recipe()


def later(before: Recipe) -> Recipe:
    """The iteration after another, with what was chosen on validation clips."""
    return replace(FIRST, before=before, **presets.LATER)


SECOND = later(FIRST)
THIRD = later(SECOND)
FOURTH = later(THIRD)


def objective(name: str) -> Recipe:
    """Another loss."""
    pretext = replace(presets.SHORT.pretext, objective=name)
    return replace(FIRST, pretrain=replace(presets.SHORT, pretext=pretext))


def masked(rate: float, recipe: Recipe = FIRST) -> Recipe:
    """Another share of masked blocks; without masking every frame pays the loss."""
    pretext = recipe.pretrain.pretext
    pretext = replace(pretext, mask=replace(pretext.mask, rate=rate))
    return replace(recipe, pretrain=replace(recipe.pretrain, pretext=pretext))


def tempered(temperature: float, recipe: Recipe = FIRST) -> Recipe:
    """Another temperature of what pretraining predicts."""
    pretext = replace(recipe.pretrain.pretext, temperature=temperature)
    return replace(recipe, pretrain=replace(recipe.pretrain, pretext=pretext))


def prototypes(k: int) -> Recipe:
    """Another number of prototypes."""
    return replace(FIRST, fit=replace(presets.FIT, k=k))


def arm(recipe: Recipe | None, finetune: dict[int, FinetuneSettings] = LABELS_ALONE) -> Arm:
    """With labels alone unless said otherwise."""
    return Arm(recipe=recipe, finetune=finetune)


SOFT = tempered(0.2)
REFERENCE = "PMAM it. 1"
BASELINE = "supervised"
TAUGHT = ("it. 1 + teacher", "mean teacher")  # with and without pretraining
SOFTER = ("temperature 0.2", "same, shuffled")  # pseudo labels of each frame, and of any
# In this order: a benchmark that is stopped early has the first ones.
ARMS = {
    BASELINE: arm(None),
    REFERENCE: arm(FIRST),
    "no masking": arm(masked(0.0)),
    "PMAM it. 2": arm(SECOND),
    "it. 2, centred": arm(replace(SECOND, centred=True)),
    "shuffled labels": arm(replace(FIRST, shuffled=True)),
    "softmax CE": arm(objective("softmax_cross_entropy")),
    "k-means": arm(replace(FIRST, fit=replace(presets.FIT, kind="kmeans"))),
    TAUGHT[1]: arm(None, TEACHER),
    "mask rate 0.5": arm(masked(0.5)),
    "mask rate 0.9": arm(masked(0.9)),
    "InfoNCE": arm(objective("info_nce")),
    "PMAM it. 3": arm(THIRD),
    "PMAM it. 4": arm(FOURTH),
    "K 10": arm(prototypes(10)),
    "K 20": arm(prototypes(20)),
    "K 50": arm(prototypes(50)),
    "focal": arm(objective("focal")),
    "label smoothing": arm(objective("label_smoothing")),
    TAUGHT[0]: arm(FIRST, TEACHER),
    SOFTER[0]: arm(SOFT),
    "same, no masking": arm(masked(0.0, SOFT)),
    "same, it. 2": arm(replace(SOFT, before=SOFT, **presets.LATER)),
    SOFTER[1]: arm(replace(SOFT, shuffled=True)),
}
