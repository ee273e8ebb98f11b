"""PMAM's published prototypes (`gmm_means.pt`)."""

from pathlib import Path

import torch
from torch import Tensor

from pmam.models.checkpoint import CheckpointError
from pmam.models.published import read_foreign
from pmam.prototypes.artifact import Prototypes


def import_prototypes(means: Tensor, name: str) -> Prototypes:
    """Means `(K, D)` alone, as published, which is all that pretraining needs of a mixture.

    Without covariances there are no soft posteriors: those come from the published pseudo labels.
    `name` stands in errors.

    Raises:
        CheckpointError: no finite matrix of floating point.
    """
    if means.ndim != 2 or not means.is_floating_point() or not bool(torch.isfinite(means).all()):
        raise CheckpointError(
            f"{name}: got {means.dtype} of shape {tuple(means.shape)}; expected finite means (K, D)"
        )
    means = means.double()
    weights = torch.full((len(means),), 1 / max(len(means), 1), dtype=torch.double)
    return Prototypes(kind="kmeans", weights=weights, means=means)


def read_prototypes(path: Path) -> Prototypes:
    """The prototypes of a file that holds a tensor of means, without running code in it.

    Raises:
        CheckpointError: the file is missing, or holds something else.
    """
    means = read_foreign(path)
    if not isinstance(means, Tensor):
        raise CheckpointError(
            f"{path}: got {type(means).__name__}; expected a tensor of means (K, D)"
        )
    return import_prototypes(means, str(path))
