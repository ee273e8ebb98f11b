"""M2D with the head that fine-tuning on AudioSet gave it: waveforms to tags."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pmam.encoders.m2d.front_end import RATE_HZ, M2DLogMel
from pmam.encoders.m2d.state_dict_names import encoder_tensors, head_tensors
from pmam.encoders.m2d.transformer import M2D, M2DSettings
from pmam.errors import InputError
from pmam.models.state_dict import load_fitting

VARIANCE_EPS = 1e-5  # of the batch normalisation that the head was trained with


class Head(nn.Module):
    """Standardised features to logits; `features` are one token wide, or a column of tokens."""

    mean: Tensor
    variance: Tensor

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.linear = nn.Linear(features, classes)

    def forward(self, features: Tensor) -> Tensor:
        """`(..., features)` to `(..., classes)`."""
        standard = (features - self.mean) * torch.rsqrt(self.variance + VARIANCE_EPS)
        logits: Tensor = self.linear(standard)
        return logits


class M2DTagger(nn.Module):
    """Waveforms of any length to logits of the tagger's classes, per clip or per frame.

    Longer clips go through in chunks of the table of positions, one after the other, as M2D's own
    runtime does it: the last 9 of 1001 frames of a whole chunk are not heard. Silence is added up
    to a whole patch.

    Args:
        settings: of the transformer.
        classes: outputs of the head.
        stacked: whether the head reads columns of tokens side by side, and not single tokens.
    """

    sample_rate_hz = RATE_HZ

    def __init__(self, settings: M2DSettings, classes: int, stacked: bool = False) -> None:
        super().__init__()
        self.frontend = M2DLogMel()
        self.transformer = M2D(settings)
        self.stacked = stacked
        self.head = Head(settings.width * (settings.rows if stacked else 1), classes)

    @classmethod
    def of_published(cls, published: Mapping[str, Tensor], settings: M2DSettings) -> "M2DTagger":
        """The tagger in a file that was fine-tuned, in evaluation mode.

        Raises:
            InputError: a file without a head, or with one of another width.
            StateDictError: the encoder's tensors do not fit.
        """
        head = head_tensors(published)
        if "linear.weight" not in head:
            raise InputError(
                "no tagging head: this file was pretrained alone; give one that was fine-tuned on "
                "AudioSet, such as m2d_clap_vit_base-80x1001p16x16-240128_AS-FT_enconly"
            )
        classes, width = head["linear.weight"].shape
        column = settings.width * settings.rows
        if width not in (settings.width, column):
            raise InputError(
                f"a head that reads {width} features; expected {settings.width} or {column}"
            )
        made = cls(settings, classes, stacked=width == column)
        load_fitting(made.transformer, encoder_tensors(published))
        load_fitting(made.head, head)
        return made.eval()

    def normalised(self, waveform: Tensor) -> Tensor:
        """`(B, samples)` to normalised log-mel `(B, mels, 1 + samples // 160)`."""
        return self.transformer.normalised(self.frontend(waveform))

    def columns(self, waveform: Tensor) -> Tensor:
        """Tokens by column: `(B, samples)` to `(B, columns, rows, width)`."""
        settings = self.transformer.settings
        logmel = self.normalised(waveform)
        logmel = nn.functional.pad(logmel, (0, -logmel.shape[2] % settings.patch_frames))
        chunks = [
            chunk
            for chunk in torch.split(logmel, settings.frames, dim=2)
            if chunk.shape[2] >= settings.patch_frames
        ]
        return torch.cat([self.transformer.grid(self.transformer(c)) for c in chunks], dim=1)

    def features(self, columns: Tensor) -> Tensor:
        """What the head reads of each column: `(B, columns, features)`."""
        return columns.flatten(2) if self.stacked else columns.mean(dim=2)

    def frame_logits(self, waveform: Tensor) -> Tensor:
        """`(B, samples)` to `(B, columns, classes)`."""
        logits: Tensor = self.head(self.features(self.columns(waveform)))
        return logits

    def forward(self, waveform: Tensor) -> Tensor:
        """`(B, samples)` to `(B, classes)`: the head reads the mean over all tokens."""
        logits: Tensor = self.head(self.features(self.columns(waveform)).mean(dim=1))
        return logits
