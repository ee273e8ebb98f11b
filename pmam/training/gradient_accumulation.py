"""A batch in parts that fit in memory: losses and gradients of the parts add up to the batch's.

Means are sums over what the whole batch counts, on all workers: its *totals* are known before the
first part goes through the network. Augmentations and masks are drawn for the whole batch, so they
do not depend on the number of parts. What the network itself draws (dropout, where a position
table begins) and batch statistics are of a part.
"""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from pmam.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

BatchT = TypeVar("BatchT", bound="DataclassInstance")


def split(batch: BatchT, parts: int) -> list[BatchT]:
    """A dataclass of tensors `(B, ...)` in parts; part i takes the clips i, i + parts and so on.

    Neighbours in a batch are of one subset: so each part has some of all.

    Raises:
        InputError: more parts than clips.
    """
    tensors = {f.name: getattr(batch, f.name) for f in fields(batch)}
    clips = len(next(iter(tensors.values())))
    if not 1 <= parts <= clips:
        raise InputError(
            f"accumulate {parts}: a worker has {clips} clips of a batch; expected 1 to {clips}"
        )
    if parts == 1:
        return [batch]
    return [
        replace(batch, **{name: value[part::parts] for name, value in tensors.items()})
        for part in range(parts)
    ]


def mean_over(losses: Tensor, chosen: Tensor, total: Tensor | None = None) -> Tensor:
    """Mean of `losses` where `chosen`, or weighted by it; 0 where nothing is chosen.

    Args:
        losses: numbers of frames `(B, T)`, or of clips `(B,)`.
        chosen: which of them count, or what each weighs, of the same shape.
        total: how many count, or the sum of weights, in the whole batch, where this is a part.
    """
    weights = chosen.to(losses.dtype)
    counted = weights.sum() if total is None else total.to(losses.dtype)
    return (losses * weights).sum() / divisor(counted)


def divisor(total: Tensor) -> Tensor:
    """The sum of weights that a mean divides by; 1 where that is 0, so that the mean is 0."""
    return torch.where(total > 0, total, 1)
