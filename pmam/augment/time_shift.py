"""What moves sounds in time, and their labels with them: circular shifts and silenced stretches."""

import torch
from torch import Tensor

from pmam.training.clip_draws import Random, rand, randint, randn


def draw_shifts(clips: int, deviation: float, unit: int, generator: Random) -> Tensor:
    """Shifts `(clips,)` of normal length in input frames, multiples of `unit`."""
    return (randn(clips, random=generator) * deviation / unit).trunc().long() * unit


def pooled_shifts(shifts: Tensor, unit: int) -> Tensor:
    """Shifts of a sequence that is `unit` times shorter, rounded down, also below zero."""
    return torch.div(shifts, unit, rounding_mode="floor")


def frame_shift(x: Tensor, shifts: Tensor, held: Tensor | None = None) -> Tensor:
    """Turn each clip of `x (B, T, channels)` by `shifts (B,)` frames, to later times if positive.

    What leaves at one end comes in at the other. `held (B,)` says how many frames hold audio: only
    those turn, so that padding stays at the end.
    """
    batch, frames, channels = x.shape
    length = torch.full((batch,), frames) if held is None else held
    length = length.to(x.device).clamp_min(1)[:, None]
    time = torch.arange(frames, device=x.device)[None]
    source = torch.where(time < length, (time - shifts.to(x.device)[:, None]) % length, time)
    return x.gather(1, source[..., None].expand(batch, frames, channels))


def draw_spans(clips: int, size: int, most: int, generator: Random) -> Tensor:
    """First and end `(clips, 2)` of spans of 0 to `most` of `size` places (arXiv 1904.08779).

    `torchaudio.functional.mask_along_axis_iid` masks alike, but draws inside from the global
    generator: its spans can be neither repeated after a restart nor given to the targets too, and
    the longest of them is `most - 1`.
    """
    width = randint(min(most, size) + 1, clips, random=generator)
    first = (rand(clips, random=generator) * (size - width + 1)).long()
    return torch.stack([first, first + width], dim=1)


def inside(spans: Tensor, size: int) -> Tensor:
    """`(B, size)`, true from the first place of each span to before its end."""
    place = torch.arange(size, device=spans.device)[None]
    return (place >= spans[:, :1]) & (place < spans[:, 1:])


def time_mask(x: Tensor, spans: Tensor) -> Tensor:
    """`x (B, T, channels)` with 0 in the frames of each clip's span `(B, 2)`."""
    return x.masked_fill(inside(spans.to(x.device), x.shape[1])[..., None], 0.0)
