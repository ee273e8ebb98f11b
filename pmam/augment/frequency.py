"""What happens to the mel axis: a smooth distortion, and blanked channels."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pmam.augment.time_shift import inside
from pmam.training.clip_draws import Random, rand


@dataclass(frozen=True, kw_only=True)
class DistortionDraws:
    """The random numbers of one distortion."""

    displacement: Tensor  # (B,) or (1,), the largest, as a share of the axis
    phase: Tensor  # (B,) or (1,), uniform in [0, 1)


def draw_distortion(clips: int, most: float, generator: Random) -> DistortionDraws:
    """Displacements between 0 and `most`, and phases; one clip's draws serve a whole batch too."""
    return DistortionDraws(
        displacement=rand(clips, random=generator, dtype=torch.double) * most,
        phase=rand(clips, random=generator, dtype=torch.double),
    )


def distorted_axis(draws: DistortionDraws, mels: int) -> Tensor:
    """Where each channel goes: `mels (x + d sin(2 pi (x + phase)))` at `x = channel / mels`.

    Shape `(B, mels)` in channels, increasing, double precision.
    """
    x = torch.arange(mels, dtype=torch.double)[None] / mels
    displacement, phase = draws.displacement[:, None].double(), draws.phase[:, None].double()
    return mels * (x + displacement * torch.sin(2 * math.pi * (x + phase)))


def distort(x: Tensor, draws: DistortionDraws) -> Tensor:
    """Move the channels of `x (B, T, mels)`; between them values are interpolated linearly.

    Outside of the displaced axis the outermost channel is repeated.
    """
    mels = x.shape[2]
    axis = distorted_axis(draws, mels)  # (B or 1, mels)
    wanted = torch.arange(mels, dtype=torch.double).expand_as(axis).contiguous()
    left = (torch.searchsorted(axis, wanted, right=True) - 1).clamp(0, mels - 2)
    before, after = axis.gather(1, left), axis.gather(1, left + 1)
    way = ((wanted - before) / (after - before)).clamp(0.0, 1.0)
    shape = (x.shape[0], 1, mels)
    way = way.to(x)[:, None].expand(shape)
    left = left.to(x.device)[:, None].expand(x.shape)
    return x.gather(2, left) * (1 - way) + x.gather(2, left + 1) * way


def frequency_mask(x: Tensor, spans: Tensor) -> Tensor:
    """`x (B, T, mels)` with 0 in the channels of each clip's span `(B, 2)` (arXiv 1904.08779)."""
    return x.masked_fill(inside(spans.to(x.device), x.shape[2])[:, None], 0.0)
