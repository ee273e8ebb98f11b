"""Mixup: clips and their labels blended two by two (arXiv 1710.09412)."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from pmam.training.clip_draws import Random, shared

# The shares that PMAM's code allows: never one clip alone.
LEAST, MOST = 0.05, 0.95


@dataclass(frozen=True, kw_only=True)
class MixDraws:
    """The random numbers of one mixture, so that it is a pure function of them."""

    share: Tensor  # (B,), of the clip itself
    partner: Tensor  # (B,), the clip that it is mixed with


def draw_mix(
    kind: Tensor, beta: tuple[float, float], probability: float, generator: Random
) -> MixDraws:
    """One share and one permutation for each kind of clip; clips of a negative kind stay alone.

    Args:
        kind: `(B,)`; clips are mixed with clips of the same number.
        beta: of the share.
        probability: that anything is mixed at all.
        generator: of the numbers.
    """
    drawn_by = shared(generator)
    share, partner = torch.ones(len(kind)), torch.arange(len(kind))
    if float(torch.rand((), generator=drawn_by)) >= probability:
        return MixDraws(share=share, partner=partner)
    for value in sorted({number for number in kind.tolist() if number >= 0}):
        members = (kind == value).nonzero().squeeze(1).cpu()
        partner[members] = members[torch.randperm(len(members), generator=drawn_by)]
        seed = int(torch.randint(2**31, (), generator=drawn_by))
        drawn = random.Random(seed).betavariate(*beta)
        share[members] = min(max(drawn, LEAST), MOST)
    return MixDraws(share=share, partner=partner)


def blend(x: Tensor, draws: MixDraws) -> Tensor:
    """`share x + (1 - share) x[partner]` for each clip of `x (B, ...)`."""
    share = draws.share.to(x).view(-1, *[1] * (x.dim() - 1))
    return share * x + (1 - share) * x[draws.partner.to(x.device)]


def soft_labels(labels: Tensor, draws: MixDraws) -> Tensor:
    """Labels `(B, ...)` in [0, 1], weighted like the clips."""
    return blend(labels, draws).clamp(0.0, 1.0)


def hard_labels(labels: Tensor, draws: MixDraws) -> Tensor:
    """What either clip is labelled with, `(B, ...)`; a clip that is its own partner stays."""
    partner = draws.partner.to(labels.device)
    alone = partner == torch.arange(len(labels), device=labels.device)
    both = (labels + labels[partner]).clamp(0.0, 1.0)
    return torch.where(alone.view(-1, *[1] * (labels.dim() - 1)), labels, both)
