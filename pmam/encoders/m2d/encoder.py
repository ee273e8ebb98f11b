"""M2D as a frame encoder: a column of patches is a frame, its tokens side by side."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from pmam.encoders.base import FrameEncoder
from pmam.encoders.log_mel_encoder import AsPublished
from pmam.encoders.lora import adapt_blocks
from pmam.encoders.m2d.front_end import HOP, MELS, RATE_HZ, M2DLogMel
from pmam.encoders.m2d.published import FINE_FRAMES, PRETRAINED, TAGGERS
from pmam.encoders.m2d.state_dict_names import encoder_tensors
from pmam.encoders.m2d.transformer import M2D, M2DSettings
from pmam.encoders.published import PublishedFile
from pmam.encoders.settings import EncoderSettings, LoraSettings
from pmam.errors import InputError
from pmam.models.state_dict import StateDictError, load_fitting


class M2DEncoder(FrameEncoder):
    """Windows of ten seconds, a frame of 5 x 768 channels every 160 ms."""

    needs_weights = True
    size: ClassVar[M2DSettings] = M2DSettings()
    published = TAGGERS[0]
    also_published: ClassVar[tuple[PublishedFile, ...]] = TAGGERS[1:]
    parameter_groups = (
        (r"transformer\.(norm|blocks\.(8|9|10|11))\.", "passt_top"),
        (r"transformer\.", "passt"),
        (r"", "cnn"),
    )
    published_parts = ("stacked",)

    def __init__(self, settings: EncoderSettings, size: M2DSettings | None = None) -> None:
        super().__init__()
        if settings.pca is not None:
            raise InputError(
                f"{settings.name} looks at mel bands side by side: leave the encoder's pca unset"
            )
        size = size or self.size
        self.settings = settings
        self.frontend = M2DLogMel()
        self.transformer = M2D(size)
        self.calibration = AsPublished(MELS)
        self.sample_rate_hz = RATE_HZ
        self.input_hop_s = HOP / RATE_HZ
        self.hop_s = size.patch_frames * self.input_hop_s
        self.width = size.rows * size.width
        self.parts = {"stacked": slice(0, self.width)}
        self.most_input_frames = (size.columns + 1) * size.patch_frames

    def load_published(self, published: dict[str, Tensor]) -> None:
        """Take a file of M2D's authors; its head, decoder and the like are left out."""
        tensors = encoder_tensors(published)
        try:
            load_fitting(self.transformer, tensors)
        except StateDictError as error:
            other = encoder_for(tensors)
            if other in (None, self.settings.name):
                raise
            raise StateDictError(f"{error}; this file is for --encoder.name {other}") from error

    def adapt(self, settings: LoraSettings) -> None:
        """LoRA on every linear layer; blocks from the first one given on and the norm train."""
        adapt_blocks(self.transformer, settings, self.settings.name)

    def raw(self, waveform: Tensor) -> Tensor:
        """Normalised log-mel, `(B, samples)` to `(B, ceil(samples / 160), mels)`."""
        frames = -(-waveform.shape[-1] // HOP)
        logmel = self.transformer.normalised(self.frontend(waveform))
        return logmel[..., :frames].transpose(1, 2)

    def log_mel_units(self) -> tuple[Tensor, Tensor]:
        """See `FrameEncoder`."""
        deviation = self.transformer.norm_stats[1]
        zeros = torch.zeros_like(self.calibration.mean)
        return zeros + deviation, zeros

    def forward(self, inputs: Tensor) -> Tensor:
        """`(B, T, mels)` to `(B, ceil(T / patch), 5 * 768)`.

        Silence is added up to a whole patch. Where one more column begins than the table of
        positions has, the last one stands for it.

        Raises:
            InputError: T of more than `most_input_frames`.
        """
        size = self.transformer.settings
        columns = -(-inputs.shape[1] // size.patch_frames)
        logmel = inputs.transpose(1, 2)[..., : self.most_input_frames]
        if columns > size.columns + 1:
            raise InputError(
                f"M2D: got {inputs.shape[1]} frames; expected at most {self.most_input_frames}: "
                "cut the audio into shorter windows"
            )
        logmel = nn.functional.pad(logmel, (0, columns * size.patch_frames - logmel.shape[2]))
        logmel = logmel[..., : size.columns * size.patch_frames]
        frames = self.transformer.grid(self.transformer(logmel)).flatten(2)
        missing = columns - frames.shape[1]
        if missing:
            frames = torch.cat([frames, frames[:, -1:].expand(-1, missing, -1)], dim=1)
        return frames


class M2D608Encoder(M2DEncoder):
    """Windows of six seconds, a frame of 5 x 768 channels every 160 ms: pretrained alone."""

    size = M2DSettings(frames=608)
    published = PRETRAINED[0]
    also_published = PRETRAINED[1:]


class M2D40msEncoder(M2DEncoder):
    """Windows of two seconds, a frame of 5 x 768 channels every 40 ms: pretrained alone."""

    size = M2DSettings(frames=200, patch_frames=4)
    published = FINE_FRAMES[0]
    also_published = ()


SIZES = {"m2d": M2DEncoder.size, "m2d_608": M2D608Encoder.size, "m2d_40ms": M2D40msEncoder.size}


def encoder_for(tensors: dict[str, Tensor]) -> str | None:
    """Which of our encoders tensors under our names fit, by patch and table of positions."""
    kernel, table = tensors.get("patch_embed.weight"), tensors.get("positions")
    if kernel is None or table is None or kernel.ndim != 4 or table.ndim != 3:
        return None
    for name, size in SIZES.items():
        tokens = 1 + size.rows * size.columns
        if kernel.shape[3] == size.patch_frames and table.shape[1] == tokens:
            return name
    return None
