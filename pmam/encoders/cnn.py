"""The convolutional network of DCASE baselines, as one branch of PMAM's encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pmam.encoders.log_mel_encoder import LogMelEncoder
from pmam.encoders.settings import EncoderSettings
from pmam.errors import InputError

# (channels, pooling in time, pooling in frequency) of each stage.
STAGES = (
    (16, 2, 2),
    (16, 1, 1),
    (32, 2, 2),
    (32, 1, 1),
    (64, 1, 2),
    (64, 1, 2),
    (128, 1, 2),
    (128, 1, 2),
    (256, 1, 2),
    (384, 1, 1),
)
TIME_STRIDE = 4
DROPOUT = 0.5


class ContextGating(nn.Module):
    """Each channel scaled by a gate that all channels of its place open (arXiv 1706.06905)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, T, F)` to the same."""
        # Where channels lie last in memory, as here, the permutations copy nothing.
        gate = torch.sigmoid(self.linear(x.permute(0, 2, 3, 1)))
        return x * gate.permute(0, 3, 1, 2)


class GatedConvolution(nn.Module):
    """Convolution, batch normalisation, gating, dropout, average pooling."""

    def __init__(self, channels_in: int, channels: int, pooling: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.99)
        self.gate = ContextGating(channels)
        self.drop = nn.Dropout(DROPOUT)
        self.pool = nn.AvgPool2d(pooling) if max(pooling) > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, T, F)` to `(B, C', T', F')`."""
        pooled: Tensor = self.pool(self.drop(self.gate(self.norm(self.conv(x)))))
        return pooled


class CNN(nn.Module):
    """The ten stages: log-mel `(B, T, mels)` to `(B, T / 4, 384)` of 128 mel bands."""

    def __init__(self, stages: Sequence[tuple[int, int, int]] = STAGES) -> None:
        super().__init__()
        widths = (1, *(channels for channels, _, _ in stages))
        self.width = widths[-1]
        self.stages = nn.Sequential(
            *(
                GatedConvolution(channels_in, channels, (time, mel))
                for channels_in, (channels, time, mel) in zip(widths, stages, strict=False)
            )
        )

    def forward(self, logmel: Tensor) -> Tensor:
        """As the class says; fewer than 4 frames count as 4, by repeating the last."""
        missing = TIME_STRIDE - logmel.shape[1]
        if missing > 0:
            logmel = torch.cat([logmel, logmel[:, -1:].expand(-1, missing, -1)], dim=1)
        image = logmel.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.stages(image)  # (B, C, T / 4, 1)
        return features.mean(dim=3).transpose(1, 2)


def resample_frames(frames: Tensor, length: int) -> Tensor:
    """Linear interpolation between the middles of frames: `(B, T, C)` to `(B, length, C)`."""
    upsampled = nn.functional.interpolate(
        frames.transpose(1, 2), size=length, mode="linear", align_corners=False
    )
    return upsampled.transpose(1, 2)


class CNNEncoder(LogMelEncoder):
    """The network by itself, trained from scratch: 384 channels, 100 frames a second."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(settings)
        if settings.weights is not None:
            raise InputError("cnn is trained from scratch: leave the encoder's weights unset")
        self.cnn = CNN()
        self.width = self.cnn.width

    def forward(self, inputs: Tensor) -> Tensor:
        """`(B, T, mels)` to `(B, T, 384)`."""
        return resample_frames(self.cnn(inputs), inputs.shape[1])
