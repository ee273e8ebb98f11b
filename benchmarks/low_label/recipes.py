"""How a backbone is pretrained, as a value: prototypes of which features, and what is learnt."""

from dataclasses import dataclass, field

from low_label import presets

from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.settings import FinetuneSettings, PretrainSettings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One iteration: fit prototypes, label all training clips, pretrain."""

    fit: FitSettings = field(default_factory=lambda: presets.FIT)
    # One frame of so many is fitted: neighbouring frames are much alike.
    keep_every: int = 2
    pretrain: PretrainSettings = field(default_factory=lambda: presets.SHORT)
    # The iteration before, a layer of which gives the features; none: the encoder's inputs.
    before: "Recipe | None" = None
    layer: str = "input"
    # Start with the weights of the iteration before, or with those of the first.
    goes_on: bool = False
    # Measure the means from the mean of all frames, not from the origin of the features.
    centred: bool = False
    # Give each training frame the pseudo label of a random one.
    shuffled: bool = False


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What is compared: how the backbone starts, and how it is fine-tuned with so many labels."""

    recipe: Recipe | None
    finetune: dict[int, FinetuneSettings]  # by the number of strong clips
