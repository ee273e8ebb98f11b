"""The five networks of the MTL papers (arXiv 2008.07085): from log-mel to classes of a clip.

Convolutions keep time and frequency: each class gets a map of one cell for each cell of the
input, and the networks differ in how they pool it.
"""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pmam.weak_labels.attention import CellAttention, DualStageAttention, Maps
from pmam.weak_labels.settings import WeakNetworkSettings

RANK_DECAY = 0.9998  # of global weighted rank pooling, from a cell to the next lower one
DILATIONS = (1, 2, 4)


@dataclass(frozen=True, kw_only=True)
class WeakOutput:
    """What a network says of a batch, as probabilities."""

    clips: Tensor  # (B, classes)
    frames: Tensor  # (B, T, classes)
    cells: Tensor  # (B, classes, T, mels): the classes' maps that were pooled
    maps: Maps | None = None  # of dual-stage attention
    reconstruction: Tensor | None = None  # (B, T, mels), of the input


class WeakNetwork(nn.Module):
    """A network over standardised log-mel.

    Args:
        settings: width, frames and mels.
        classes: number of outputs.
    """

    field_frames: ClassVar[int]  # frames of the input that one cell of a map hears

    def __init__(self, settings: WeakNetworkSettings, classes: int) -> None:
        super().__init__()
        self.settings, self.classes = settings, classes

    def forward(self, inputs: Tensor) -> WeakOutput:
        """`inputs (B, T, mels)`."""
        raise NotImplementedError


def conv_block(channels_in: int, channels: int, *, average: bool) -> nn.Sequential:
    """Twice 3 x 3 convolution, batch norm and ReLU; then perhaps 3 x 3 means, step 1.

    The means count the zeros around the image.
    """
    layers: list[nn.Module] = []
    for inner in (channels_in, channels):
        layers += [
            nn.Conv2d(inner, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    if average:
        layers.append(nn.AvgPool2d(3, stride=1, padding=1))
    return nn.Sequential(*layers)


def chain(channels: tuple[int, ...], *, average: bool) -> nn.Sequential:
    """Blocks one after the other, `channels[0]` in and `channels[-1]` out."""
    pairs = itertools.pairwise(channels)
    return nn.Sequential(*(conv_block(low, high, average=average) for low, high in pairs))


class MultiTask(WeakNetwork):
    """Dual-stage attention, and a decoder that reconstructs the input: `MTL_SEDNetwork`.

    As published the decoder ends in a ReLU and means, so a reconstruction is at least 0 while
    inputs are standardised.
    """

    field_frames = 1 + 4 * (2 + 2 + 2)

    def __init__(self, settings: WeakNetworkSettings, classes: int) -> None:
        super().__init__(settings, classes)
        width = settings.width
        up = (1, width, 2 * width, 4 * width, 8 * width)
        self.stages = chain(up, average=True)
        self.class_map = nn.Conv2d(up[-1], classes, 1)
        self.attention = DualStageAttention(settings.mels, settings.frames)
        self.decoder = nn.ModuleDict({"stages": chain(up[::-1], average=True)})

    def forward(self, inputs: Tensor) -> WeakOutput:
        """See `WeakNetwork`."""
        features = self.stages(inputs[:, None])
        cells = self.class_map(features)
        clips, frames, maps = self.attention(cells)
        return WeakOutput(
            clips=clips,
            frames=frames.transpose(1, 2),
            cells=cells.sigmoid(),
            maps=maps,
            reconstruction=self.decoder["stages"](features)[:, 0],
        )


class Pooled(WeakNetwork):
    """Four blocks as of VGG without pooling on the way, and a probability for each cell."""

    field_frames = 1 + 4 * (2 + 2)

    def __init__(self, settings: WeakNetworkSettings, classes: int) -> None:
        super().__init__(settings, classes)
        width = settings.width
        channels = (1, width, 2 * width, 4 * width, 4 * width)
        self.stages = chain(channels, average=False)
        self.class_map = nn.Conv2d(channels[-1], classes, 1)

    def pool(self, cells: Tensor, per_frame: int) -> Tensor:
        """Probabilities of a clip's, or of a frame's cells `(..., cells)` to one `(...)`.

        `per_frame` is how many cells of the clip one of these stands for.
        """
        raise NotImplementedError

    def forward(self, inputs: Tensor) -> WeakOutput:
        """See `WeakNetwork`."""
        cells = self.class_map(self.stages(inputs[:, None])).sigmoid()
        return WeakOutput(
            clips=self.pool(cells.flatten(2), 1),
            frames=self.pool(cells, cells.shape[2]).transpose(1, 2),
            cells=cells,
        )


class MaxPooled(Pooled):
    """Global max pooling (GMP)."""

    def pool(self, cells: Tensor, per_frame: int) -> Tensor:
        """See `Pooled`."""
        return cells.amax(dim=-1)


class MeanPooled(Pooled):
    """Global average pooling (GAP)."""

    def pool(self, cells: Tensor, per_frame: int) -> Tensor:
        """See `Pooled`."""
        return cells.mean(dim=-1)


class RankPooled(Pooled):
    """Global weighted rank pooling (GWRP): a mean by rank, weights falling by 0.9998 a cell."""

    def pool(self, cells: Tensor, per_frame: int) -> Tensor:
        """See `Pooled`."""
        count = cells.shape[-1]
        ranks = torch.arange(count, dtype=torch.float64, device=cells.device)
        weights = (RANK_DECAY ** (ranks * per_frame)).to(cells.dtype)
        ranked = cells.sort(dim=-1, descending=True).values
        return (ranked * weights).sum(dim=-1) / weights.sum()


class Atrous(WeakNetwork):
    """Three dilated 5 x 5 convolutions, and attention over all cells at once."""

    field_frames = 1 + 4 * sum(DILATIONS)

    def __init__(self, settings: WeakNetworkSettings, classes: int) -> None:
        super().__init__(settings, classes)
        width = settings.width
        channels = (1, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = []
        for low, high, dilation in zip(channels[:-1], channels[1:], DILATIONS, strict=True):
            layers += [
                nn.Conv2d(low, high, 5, padding=2 * dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(high),
                nn.ReLU(inplace=True),
            ]
        self.stages = nn.Sequential(*layers)
        self.attention = CellAttention(channels[-1], classes)

    def forward(self, inputs: Tensor) -> WeakOutput:
        """See `WeakNetwork`."""
        features = self.stages(inputs[:, None])
        clips, frames, cells = self.attention(features)
        return WeakOutput(clips=clips, frames=frames.transpose(1, 2), cells=cells)
