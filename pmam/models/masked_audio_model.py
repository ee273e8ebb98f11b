"""The masked audio model: a backbone with a head that predicts prototypes."""

import torch
from torch import Tensor, nn

from pmam.models.backbone import Backbone, clip_head


def prediction_head(width: int, prototype_width: int) -> nn.Sequential:
    """Context frames `(..., width)` to the space of the prototypes' means."""
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, prototype_width))


class MaskedAudioModel(nn.Module):
    """Predicts, for masked frames, a vector in the space of the prototypes' means.

    Where the backbone has a clip branch, `branch` says which of so many `prototypes` a clip holds.
    """

    def __init__(self, backbone: Backbone, prototype_width: int, prototypes: int = 0) -> None:
        super().__init__()
        width = backbone.settings.context.width
        self.backbone = backbone
        self.prototype_width = prototype_width
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.head = prediction_head(width, prototype_width)
        self.prototypes = prototypes
        self.branch = clip_head(backbone, prototypes) if prototypes else None

    def predict(self, projected: Tensor, padding: Tensor | None = None) -> Tensor:
        """Projected (and masked) frames `(B, T, width)` to `(B, T, prototype width)`."""
        predicted: Tensor = self.head(self.backbone.context(projected, padding))
        return predicted
