"""How linearly readable the labels are in frozen features: ridge regression on few clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from low_label.data import Data
from torch import Tensor

from pmam.metrics.ranking.average_precision import macro_average_precision
from pmam.models.backbone import Backbone

PENALTIES = (1e1, 1e2, 1e3, 1e4)
LAYERS = ("context1", "context2", "context")


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What was chosen on validation clips, and what it gives on test clips."""

    layer: str
    penalty: float
    validation_ap: float
    test_aps: list[float]  # one per draw of training clips


def ridge(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Weights `(D, C)` of least squares on `x (N, D)`, `y (N, C)` with a penalty on their norm."""
    gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=x.dtype)
    return torch.linalg.solve(gram, x.T @ y)


def probe(backbone: Backbone | None, data: Data, draws: Sequence[Sequence[int]]) -> ProbeResult:
    """Macro frame AP of a ridge regression on draws of strong clips.

    Layer and penalty are those of the highest mean AP on validation clips; None probes the
    calibrated inputs themselves.
    """
    best: tuple[float, str, float, dict[str, Tensor]] | None = None
    for layer in LAYERS if backbone is not None else ("input",):
        features = {
            subset: _features(backbone, data, subset, layer)
            for subset in ("strong", "validation", "test")
        }
        for penalty in PENALTIES:
            aps = _aps(features, data, draws, penalty, "validation")
            if best is None or float(np.mean(aps)) > best[0]:
                best = (float(np.mean(aps)), layer, penalty, features)
    assert best is not None
    validation_ap, layer, penalty, features = best
    return ProbeResult(
        layer=layer,
        penalty=penalty,
        validation_ap=validation_ap,
        test_aps=_aps(features, data, draws, penalty, "test"),
    )


@torch.inference_mode()
def _features(backbone: Backbone | None, data: Data, subset: str, layer: str) -> Tensor:
    inputs = data.clips[subset].inputs
    if backbone is None:
        return inputs
    backbone.eval()
    return torch.cat([backbone.layer(part, layer) for part in inputs.split(64)])


def _aps(
    features: dict[str, Tensor],
    data: Data,
    draws: Sequence[Sequence[int]],
    penalty: float,
    subset: str,
) -> list[float]:
    found = []
    targets = data.clips[subset].targets.flatten(0, 1).numpy() > 0
    for draw in draws:
        x = features["strong"][list(draw)].flatten(0, 1).double()
        y = data.clips["strong"].targets[list(draw)].flatten(0, 1).double()
        mean, scale = x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
        weights = ridge((x - mean) / scale, y - y.mean(dim=0), penalty)
        scores = (features[subset].flatten(0, 1).double() - mean) / scale @ weights
        found.append(macro_average_precision(scores.numpy(), targets, data.classes).value)
    return found
