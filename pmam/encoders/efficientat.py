"""EfficientAT's MobileNetV3 taggers (arXiv 2211.04772) as frame encoders."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.encoders.base import FrameEncoder, pad_frames, pool_frames
from pmam.encoders.calibration import Calibration
from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.encoders.published import PublishedFile
from pmam.encoders.settings import EncoderSettings
from pmam.models.state_dict import load_fitting

AUDIOSET_CLASSES = 527
# MobileNetV3-Large (arXiv 1905.02244, table 1) at width 1:
# kernel, expanded channels, channels out, squeeze-and-excitation, hard swish, stride.
BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
STEM_CHANNELS = 16
LAST_EXPANSION = 6
HIDDEN = 1280
# From edges to whole events: what the frame features are read from.
FEATURE_BLOCKS = (3, 6, 9, 12, 15, 16)
FRAME_MEL_HOPS = 8  # 10 ms x 8: 12.5 frames a second


def divisible(channels: float, divisor: int = 8) -> int:
    """Round to a multiple, never down by more than a tenth (arXiv 1801.04381)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def convolution(
    channels_in: int,
    channels: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    """Convolution, batch normalisation and perhaps an activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(
            channels_in, channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """Scale channels by what the whole clip holds (arXiv 1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = divisible(channels // 4)
        self.fc1 = nn.Linear(channels, squeezed)
        self.fc2 = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, F, T)` to the same."""
        scale = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean(dim=(2, 3))))))
        return x * scale[:, :, None, None]


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, excite, project (arXiv 1905.02244)."""

    def __init__(
        self,
        channels_in: int,
        kernel: int,
        expanded: int,
        channels: int,
        excite: bool,
        hard_swish: bool,
        stride: int,
    ) -> None:
        super().__init__()
        activation = nn.Hardswish if hard_swish else nn.ReLU
        layers: list[nn.Module] = []
        if expanded != channels_in:
            layers.append(convolution(channels_in, expanded, 1, activation=activation))
        layers.append(convolution(expanded, expanded, kernel, stride, expanded, activation))
        if excite:
            layers.append(SqueezeExcitation(expanded))
        layers.append(convolution(expanded, channels, 1))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, F, T)` to `(B, C', F', T')`."""
        out: Tensor = self.layers(x)
        return out + x if self.residual else out


@dataclass(frozen=True, kw_only=True)
class MobileNetSettings:
    """The width of the network and of its input."""

    width: float = 0.4
    classes: int = AUDIOSET_CLASSES


class MobileNet(nn.Module):
    """The tagger: log-mel `(B, mels, frames)` to logits of the AudioSet classes."""

    def __init__(self, settings: MobileNetSettings) -> None:
        super().__init__()
        scaled = [
            (k, divisible(e * settings.width), divisible(c * settings.width), se, hs, stride)
            for k, e, c, se, hs, stride in BLOCKS
        ]
        channels = divisible(STEM_CHANNELS * settings.width)
        blocks: list[nn.Module] = [convolution(1, channels, 3, 2, activation=nn.Hardswish)]
        self.channels, self.strides = [channels], [2]
        for kernel, expanded, out, excite, hard_swish, stride in scaled:
            blocks.append(
                InvertedResidual(channels, kernel, expanded, out, excite, hard_swish, stride)
            )
            channels = out
            self.channels.append(channels)
            self.strides.append(self.strides[-1] * stride)
        last = LAST_EXPANSION * channels
        blocks.append(convolution(channels, last, 1, activation=nn.Hardswish))
        self.channels.append(last)
        self.strides.append(self.strides[-1])
        self.blocks = nn.ModuleList(blocks)
        hidden = divisible(HIDDEN * settings.width)
        self.classifier = nn.Sequential(
            nn.Linear(last, hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(hidden, settings.classes),
        )

    def features(self, logmel: Tensor) -> list[Tensor]:
        """The output of each block: `(B, C, F, T)`, 17 of them."""
        x = logmel.unsqueeze(1)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs

    def forward(self, logmel: Tensor) -> Tensor:
        """`(B, mels, frames)` to logits `(B, classes)`."""
        logits: Tensor = self.classifier(self.features(logmel)[-1].mean(dim=(2, 3)))
        return logits


def from_published(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename EfficientAT's parameters to ours.

    Theirs are `features.<block>.block.<step>...`, with the excitation as a list of one.
    """
    classifier = {"2": "0", "5": "3"}
    renamed = {}
    for name, value in published.items():
        if name.startswith("features."):
            _, block, *rest = name.split(".")
            path = ".".join(rest).replace("conc_se_layers.0.", "")
            path = path.replace("block.", "layers.", 1) if path.startswith("block.") else path
            renamed[f"blocks.{block}.{path}"] = value
        elif name.startswith("classifier."):
            _, layer, leaf = name.split(".")
            renamed[f"classifier.{classifier.get(layer, layer)}.{leaf}"] = value
        else:
            renamed[name] = value
    return renamed


def span_weights(frames: int, stride: int, span: int, spans: int) -> Tensor:
    """Average a piecewise linear signal over equal spans: a matrix `(frames, spans)`.

    Frame j of the signal lies at j * stride, span t covers [t, t + 1) * span, all in mel hops.
    So blocks of any stride come to one time axis without a shift.
    """
    points = (torch.arange(spans * span) + 0.5) / stride
    points = points.clamp(0, frames - 1)
    left = points.floor().long().clamp_max(max(frames - 2, 0))
    right = (left + 1).clamp_max(frames - 1)
    fraction = points - left
    weights = torch.zeros(spans * span, frames)
    rows = torch.arange(spans * span)
    weights[rows, left] += 1 - fraction
    weights[rows, right] += fraction
    return weights.view(spans, span, frames).mean(dim=1).T


class EfficientATEncoder(FrameEncoder):
    """Frozen block features, averaged over frequency, beside the log-mel itself."""

    needs_weights = True
    width_factor: float  # of the network's channels, beside MobileNetV3's

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        self.settings = settings
        frontend = LogMelSettings()
        self.frontend = LogMel(frontend)
        self.network = MobileNet(MobileNetSettings(width=self.width_factor))
        self.network.requires_grad_(False)
        self.raw_width = frontend.mels + sum(self.network.channels[b] for b in FEATURE_BLOCKS)
        self.calibration = Calibration(self.raw_width, settings.pca)
        self.sample_rate_hz = frontend.sample_rate_hz
        self.hop_s = self.input_hop_s = FRAME_MEL_HOPS * frontend.hop_s
        self.width = self.calibration.width

    def load_published(self, published: dict[str, Tensor]) -> None:
        """Take the state dict of EfficientAT; one of another width does not fit."""
        load_fitting(self.network, from_published(published))

    def train(self, mode: bool = True) -> "EfficientATEncoder":
        """Frozen: batch statistics stay those of AudioSet, whatever the model around it does."""
        super().train(mode)
        self.network.eval()
        return self

    def raw(self, waveform: Tensor) -> Tensor:
        """`(B, samples)` to `(B, frames, raw width)`, 12.5 frames a second."""
        logmel = self.frontend(waveform)  # (B, mels, T)
        spectral = pool_frames(logmel.transpose(1, 2), FRAME_MEL_HOPS)  # (B, frames, mels)
        # Whole spans only: the network then gives the same frames for a clip and for its padding.
        image = pad_frames(logmel.transpose(1, 2), FRAME_MEL_HOPS).transpose(1, 2)
        parts = [spectral]
        for block, curve in zip(FEATURE_BLOCKS, self._curves(image), strict=True):
            weights = span_weights(
                curve.shape[2], self.network.strides[block], FRAME_MEL_HOPS, spectral.shape[1]
            )
            parts.append((curve @ weights.to(curve)).transpose(1, 2))
        return torch.cat(parts, dim=2)

    def _curves(self, image: Tensor) -> list[Tensor]:
        """`(B, mels, T)` to what each of the blocks says over time, `(B, C, T / stride)`.

        On a CPU clip by clip: what the layers make of one clip stays in a core's cache.
        """
        if (
            image.device.type == "cpu"
            and not torch.is_grad_enabled()
            and not torch.compiler.is_exporting()
            and len(image) > 1  # last: a length is a constant in what is exported
        ):
            clips = [self._curves(clip) for clip in torch.split(image, 1)]
            return [torch.cat(block) for block in zip(*clips, strict=True)]
        outputs = self.network.features(image)
        return [outputs[block].mean(dim=2) for block in FEATURE_BLOCKS]

    def forward(self, inputs: Tensor) -> Tensor:
        """The frames themselves: this encoder has no trained part."""
        return inputs


class MN04Encoder(EfficientATEncoder):
    """`mn04_as`: 1 M parameters, AudioSet mAP 43.2."""

    width_factor = 0.4
    published = PublishedFile(  # MIT licence
        name="mn04",
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    )


class MN10Encoder(EfficientATEncoder):
    """`mn10_as`: 4.9 M parameters, AudioSet mAP 47.1."""

    width_factor = 1.0
    # The sha256 is not published with the file: several projects that pin it state it,
    # independently of each other.
    published = PublishedFile(  # MIT licence
        name="mn10",
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn10_as_mAP_471.pt",
        sha256="0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
    )
