"""Sliding windows inside an encoder: frames of the whole clip mixed with those of short windows."""

from collections.abc import Callable

import torch
from torch import Tensor

from pmam.encoders.settings import SlidingSettings


def window_spans(total: int, settings: SlidingSettings) -> list[tuple[int, int]]:
    """Begin and end of each window; the last one ends with the input, and may be shorter."""
    spans = []
    for start in range(0, total, settings.step):
        spans.append((start, min(start + settings.frames, total)))
        if start + settings.frames >= total:
            break
    return spans


def slide(
    local: Callable[[Tensor], Tensor], inputs: Tensor, whole: Tensor, settings: SlidingSettings
) -> Tensor:
    """Mix frames of the whole with the mean of the windows over each frame.

    Args:
        local: windows `(B, mels, T')` to their first frames `(B, at most T', C)`.
        inputs: `(B, mels, T)`.
        whole: frames of all of it, `(B, T, C)`.
        settings: windows and share. Frames without a window stay whole, or get zeros.
    """
    if settings.frames == 0 or inputs.shape[2] <= settings.frames:
        return whole
    total, count = torch.zeros_like(whole), whole.new_zeros(whole.shape[1], 1)
    for start, stop in window_spans(inputs.shape[2], settings):
        frames = local(inputs[..., start:stop])
        here = slice(start, start + frames.shape[1])
        total[:, here] += frames
        count[here] += 1
    windows = total / count.clamp_min(1)
    share = torch.full_like(count, settings.mix)
    if not settings.zeros_behind:
        share = torch.where(count > 0, share, torch.zeros_like(share))
    return torch.lerp(whole, windows, share)
