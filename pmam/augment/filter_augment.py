"""FilterAugment: random gains of random bands of the mel axis (arXiv 2110.03282)."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pmam.augment.settings import AugmentSettings
from pmam.errors import InputError

# Added to a gain before its logarithm in PMAM's code.
PUBLISHED_FLOOR = 1e-5


@dataclass(frozen=True, kw_only=True)
class FilterDraws:
    """The random numbers of one filter; bands are common to the batch, as published."""

    starts: Tensor  # (bands - 1,), integers, in any order
    levels: Tensor  # (B, bands) for steps, (B, bands + 1) for lines, uniform in [0, 1)


def draw_filter(
    clips: int, mels: int, settings: AugmentSettings, generator: torch.Generator
) -> FilterDraws:
    """Fresh random numbers for `clips` clips of `mels` channels."""
    few, many = settings.filter_bands
    bands = int(torch.randint(few, many + 1, (), generator=generator))
    free = mels - bands * settings.filter_least_mels
    if free < 0:
        raise InputError(
            f"{bands} filter bands of at least {settings.filter_least_mels} mels: expected at most "
            f"the {mels} mels of the encoder; lower filter_bands or filter_least_mels"
        )
    points = bands + (settings.filter_shape == "linear")
    return FilterDraws(
        starts=torch.randint(free + 1, (bands - 1,), generator=generator),
        levels=torch.rand(clips, points, generator=generator),
    )


def band_borders(starts: Tensor, mels: int, least_mels: int) -> list[int]:
    """Borders of the bands, from 0 to `mels`, at least `least_mels` apart."""
    spacing = torch.arange(1, len(starts) + 1) * least_mels
    return [0, *(starts.sort().values + spacing).tolist(), mels]


def decibels(draws: FilterDraws, mels: int, settings: AugmentSettings) -> Tensor:
    """Gain of each clip in each mel channel, `(B, mels)`, in decibels."""
    borders = band_borders(draws.starts, mels, settings.filter_least_mels)
    low, high = settings.filter_db
    levels = draws.levels * (high - low) + low
    parts = []
    for band, (first, end) in enumerate(pairwise(borders)):
        if settings.filter_shape == "step":
            parts.append(levels[:, band : band + 1].expand(-1, end - first))
        else:  # from border to border, both ends included
            ends = levels[:, band : band + 2].tolist()
            parts.append(torch.stack([torch.linspace(a, b, end - first) for a, b in ends]))
    return torch.cat(parts, dim=1)


def filter_gain(draws: FilterDraws, mels: int, settings: AugmentSettings) -> Tensor:
    """What is added to the natural logarithm of power, `(B, mels)`.

    The published code takes decibels of amplitude for those of power, and in its linear shape the
    decibels themselves for gains.
    """
    gain_db = decibels(draws, mels, settings)
    if settings.filter_gain == "decibels":
        return gain_db * (math.log(10.0) / 10.0)
    factor = 10.0 ** (gain_db / 20.0) if settings.filter_shape == "step" else gain_db
    return torch.log(factor + PUBLISHED_FLOOR)
