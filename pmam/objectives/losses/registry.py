"""Losses that train on prototypes; to add one, write a file here and one line in `PRETEXTS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pmam.deferred import Deferred

if TYPE_CHECKING:
    from torch import Tensor

# (output (..., D), prototype means (K, D), posteriors (..., K), temperature) -> loss of each frame
PRETEXTS: dict[str, Callable[..., Tensor]] = {
    "prototype_bce": Deferred("pmam.objectives.losses.prototype_bce:prototype_bce"),
    "info_nce": Deferred("pmam.objectives.losses.softmax:info_nce"),
    "cross_entropy": Deferred("pmam.objectives.losses.softmax:cross_entropy"),
    "softmax_cross_entropy": Deferred("pmam.objectives.losses.softmax:softmax_cross_entropy"),
    "focal": Deferred("pmam.objectives.losses.focal:focal"),
    "label_smoothing": Deferred("pmam.objectives.losses.focal:label_smoothing"),
}
