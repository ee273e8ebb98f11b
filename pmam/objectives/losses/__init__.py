"""Losses that train on prototypes; to add one, write a file here and one line in `PRETEXTS`."""

from collections.abc import Callable

from torch import Tensor

from pmam.objectives.losses.focal import focal, label_smoothing
from pmam.objectives.losses.prototype_bce import prototype_bce
from pmam.objectives.losses.softmax import cross_entropy, info_nce, softmax_cross_entropy

# (output (..., D), prototype means (K, D), posteriors (..., K), temperature) -> loss of each frame
PRETEXTS: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "prototype_bce": prototype_bce,
    "info_nce": info_nce,
    "cross_entropy": cross_entropy,
    "softmax_cross_entropy": softmax_cross_entropy,
    "focal": focal,
    "label_smoothing": label_smoothing,
}
