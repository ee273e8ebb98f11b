"""PMAM's encoder: PaSST beside a convolutional network (arXiv 2409.17656, section 2)."""

import torch
from torch import Tensor, nn

from pmam.encoders.base import Encoded
from pmam.encoders.cnn import CNN, resample_frames
from pmam.encoders.passt.encoder import PaSSTEncoder
from pmam.encoders.passt.transformer import PaSSTSettings
from pmam.encoders.settings import EncoderSettings, SlidingSettings

FIRST_MERGE_WEIGHT = 0.5


class MergingProjector(nn.Module):
    """Both branches projected to the context network's width, the second one weighted."""

    def __init__(self, transformer_width: int, cnn_width: int, width: int) -> None:
        super().__init__()
        self.widths = [transformer_width, cnn_width]
        self.transformer = nn.Linear(transformer_width, width)
        self.cnn = nn.Linear(cnn_width, width)
        self.merge_weight = nn.Parameter(torch.tensor([FIRST_MERGE_WEIGHT]))

    def forward(self, frames: Tensor) -> Tensor:
        """Frames side by side, `(B, T, sum of widths)`, to `(B, T, width)`."""
        transformer, cnn = torch.split(frames, self.widths, dim=-1)
        merged: Tensor = self.transformer(transformer) + self.merge_weight * self.cnn(cnn)
        return merged


class PaSSTCNNEncoder(PaSSTEncoder):
    """Frames of PaSST (768 channels), then those of the CNN (384), 100 a second."""

    def __init__(self, settings: EncoderSettings, size: PaSSTSettings | None = None) -> None:
        super().__init__(settings, size)
        self.cnn = CNN()
        transformer_width = self.width
        self.width = transformer_width + self.cnn.width
        self.parts = {**self.parts, "cnn": slice(transformer_width, self.width)}

    def projector(self, width: int) -> nn.Module:
        """See `FrameEncoder`."""
        return MergingProjector(self.width - self.cnn.width, self.cnn.width, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(B, T, mels)` to `(B, T, 1152)`, T of at most 1005."""
        return self._beside_cnn(super().forward(inputs), inputs)

    def part(self, inputs: Tensor, name: str) -> Tensor:
        """See `FrameEncoder`; the frames of PaSST alone do without the CNN."""
        if name in self.published_parts:
            return super().forward(inputs)
        return super().part(inputs, name)

    def encode(self, inputs: Tensor, sliding: SlidingSettings | None = None) -> Encoded:
        """See `PaSSTEncoder`; the CNN always sees the whole."""
        encoded = super().encode(inputs, sliding)
        frames = self._beside_cnn(encoded.frames, inputs)
        return Encoded(frames=frames, tokens=encoded.tokens)

    def _beside_cnn(self, frames: Tensor, inputs: Tensor) -> Tensor:
        local = resample_frames(self.cnn(inputs), inputs.shape[1])
        return torch.cat([frames, local], dim=-1)
