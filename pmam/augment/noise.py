"""White noise on an encoder's inputs, at a random signal-to-noise ratio."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pmam.training.clip_draws import Random, rand, randn


@dataclass(frozen=True, kw_only=True)
class NoiseDraws:
    """The random numbers of one noise."""

    snr_db: Tensor  # (B,)
    noise: Tensor  # (B, T, channels), standard normal


def draw_noise(shape: torch.Size, snr_db: tuple[float, float], generator: Random) -> NoiseDraws:
    """Fresh random numbers for inputs of a shape `(B, T, channels)`."""
    low, high = snr_db
    return NoiseDraws(
        snr_db=low + (high - low) * rand(shape[0], random=generator),
        noise=randn(*shape, random=generator),
    )


def add_noise(x: Tensor, draws: NoiseDraws) -> Tensor:
    """`x + noise std(x) 10^(-snr / 20)` for each clip of `x (B, T, channels)`."""
    deviation = x.std(dim=(1, 2), keepdim=True)
    ratio = 10.0 ** (-draws.snr_db.to(x) / 20.0)
    return x + draws.noise.to(x) * deviation * ratio[:, None, None]
