"""Attention over the cells of a class's map: in two stages, and in both directions at once."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Maps:
    """Where a network looks for each class; weights are at least 0."""

    mel: Tensor  # (B, classes, T, mels), sums to 1 over mels
    time: Tensor  # (B, classes, T), sums to 1 over time
    values: Tensor  # (B, classes, T), what the frames say once mels are pooled, 0 to 1


def resampled(sequence: Tensor, length: int) -> Tensor:
    """`(B, classes, T)` to `(B, classes, length)`, linearly; as it is where the lengths agree.

    Frames are spans: the first half of one sequence is the first half of the other.
    """
    if sequence.shape[-1] == length:
        return sequence
    return nn.functional.interpolate(sequence, length, mode="linear", align_corners=False)


class DualStageAttention(nn.Module):
    """Attention over mels, then over time (arXiv 2008.07085, section 2.2).

    Each stage has one linear layer for weights, through a softmax, and one for values, through a
    sigmoid. That of time is between all frames, so it has as many as the network was made for:
    sequences of another length are resampled to it, linearly, and its maps back.
    """

    def __init__(self, mels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.mel_weights, self.mel_values = nn.Linear(mels, mels), nn.Linear(mels, mels)
        self.time_weights, self.time_values = nn.Linear(frames, frames), nn.Linear(frames, frames)

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor, Maps]:
        """`(B, classes, T, mels)` to clips `(B, classes)`, frames `(B, classes, T)`, and maps.

        A frame's value is the clip's times its part of what time attention adds up, over the
        largest part: so the frame that counts most has the clip's probability.
        """
        length = cells.shape[2]
        mel = self.mel_weights(cells).softmax(dim=-1)
        pooled = (mel * self.mel_values(cells).sigmoid()).sum(dim=-1)  # (B, classes, T)
        within = resampled(pooled, self.frames)
        time = self.time_weights(within).softmax(dim=-1)
        parts = time * self.time_values(within).sigmoid()
        clips = parts.sum(dim=-1)
        back = resampled(parts, length)
        frames = clips[..., None] * back / back.amax(dim=-1, keepdim=True).clamp_min(1e-12)
        weights = resampled(time, length)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return clips, frames, Maps(mel=mel, time=weights, values=pooled)


LEAST, MOST = 0.1, 0.9  # of the weights of a cell


class CellAttention(nn.Module):
    """Attention over time and frequency at once (the 2-D attention of Atrous CNN).

    The published output is a sigmoid of a weighted mean of logarithms of probabilities, which
    never exceeds a half.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.weights = nn.Conv2d(channels, classes, 1)
        self.values = nn.Conv2d(channels, classes, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(B, channels, T, mels)` to clips `(B, classes)`, frames `(B, classes, T)`, and cells.

        A frame's value is the mean over its own cells; doubled, so that it may reach 1.
        """
        weights = self.weights(features).sigmoid().clamp(LEAST, MOST)
        values = self.values(features).log_softmax(dim=1)
        # Weights first, as published: sums of so many products are not the same in another order.
        shares = weights / weights.sum(dim=(2, 3), keepdim=True)
        clips = (shares * values).sum(dim=(2, 3)).sigmoid()
        frames = (weights * values).sum(dim=-1) / weights.sum(dim=-1)
        return clips, 2 * torch.sigmoid(frames), values.exp()
