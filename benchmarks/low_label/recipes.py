"""How a backbone is pretrained, as a value: prototypes of which features, and what is learnt."""

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Literal

from low_label import presets
from low_label.training import Finetune, Pretrain


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One iteration: fit prototypes, label all training clips, pretrain."""

    kind: Literal["gmm", "kmeans"] = "gmm"
    pretrain: Pretrain = field(default_factory=lambda: presets.SHORT)
    # The iteration before, a layer of which gives the features; none: the encoder's inputs.
    before: "Recipe | None" = None
    layer: str = "input"
    # Start with the weights of the iteration before, or with those of the first.
    goes_on: bool = False
    # Standardise the features before their PCA.
    standardise: bool = False
    # Measure the means from the mean of all frames, not from the origin of the features.
    centred: bool = False
    # Give each training frame the pseudo label of a random one.
    shuffled: bool = False
    # Posteriors to this power, made to sum to 1 again: above 1 they are sharper.
    sharpen: float = 1.0

    def fit_key(self) -> dict[str, Any]:
        """What the prototypes depend on."""
        return {
            "kind": self.kind,
            "k": self.pretrain.k,
            "pca": self.pretrain.pca,
            "frame_step": self.pretrain.frame_step,
            "before": None if self.before is None else asdict(self.before),
            "layer": self.layer,
            "standardise": self.standardise,
        }


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What is compared: how the backbone starts, and how it is fine-tuned with so many labels."""

    recipe: Recipe | None
    finetune: dict[int, Finetune]  # by the number of strong clips


def key(*parts: Any) -> str:
    """A short hash of values that JSON can write."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]
