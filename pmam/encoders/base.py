"""What every frame encoder is: a fixed part that can be cached, and a part that is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from pmam.augment.chain import InputScale
from pmam.encoders.calibration import Calibration
from pmam.encoders.published import PublishedFile
from pmam.encoders.settings import EncoderSettings, LoraSettings, SlidingSettings
from pmam.errors import InputError
from pmam.training.parameter_groups import Patterns


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What an encoder says of a batch of clips."""

    frames: Tensor  # (B, T, width)
    tokens: Tensor | None = None  # (B, N, token width), for a clip branch


class FrameEncoder(nn.Module):
    """Waveforms to frames, in two steps.

    `inputs` is fixed (a spectrogram, or a pretrained network's features) and so can be computed
    once and cached; `forward` is trained together with the rest of the model.
    """

    settings: EncoderSettings
    needs_weights = False  # whether it is useless without a published file
    published: ClassVar[PublishedFile | None] = None  # what it starts from where nothing is named
    also_published: ClassVar[tuple[PublishedFile, ...]] = ()  # others that fit it
    # Groups of its parameters, by their names below the encoder: the first pattern that fits.
    parameter_groups: ClassVar[Patterns] = ((r"", "cnn"),)
    has_transformer = False  # whether `transformer_layer` means something to it
    sample_rate_hz: int
    input_hop_s: float  # between the frames of `inputs`
    hop_s: float  # between the frames of `forward`
    width: int  # channels of `forward`
    calibration: Calibration
    token_width: int | None = None  # channels of the tokens that a clip branch reads, if any
    token_heads: int = 1  # attention heads of that branch
    # Channels of `forward` that are a layer of their own.
    parts: Mapping[str, slice] = MappingProxyType({})
    # Those of them that published weights make: worth embedding before anything is trained.
    published_parts: tuple[str, ...] = ()
    most_input_frames: int | None = None  # of `forward` at a time, where there is a limit
    slides = False  # whether it can mix in short windows

    def load_published(self, published: dict[str, Tensor]) -> None:
        """Take the weights of a published file, under the names that they have there."""
        raise TypeError(f"{type(self).__name__} is trained from scratch: it has no weights to load")

    def raw(self, waveform: Tensor) -> Tensor:
        """Uncalibrated inputs: `(B, samples)` to `(B, frames, raw width)`."""
        raise TypeError(f"{type(self).__name__} does not say what its inputs are")

    @torch.no_grad()
    def inputs(self, waveform: Tensor) -> Tensor:
        """Calibrated inputs: `(B, samples)` to `(B, input frames, input width)`."""
        calibrated: Tensor = self.calibration(self.raw(waveform))
        return calibrated

    def log_mel_units(self) -> tuple[Tensor, Tensor] | None:
        """What `inputs` mean where they are log-mel, `(channels,)` each; else None.

        Natural logarithms of power per unit of a channel, and the input at which all channels
        have the same power.
        """
        return None

    def input_scale(self) -> InputScale:
        """What augmentations must know of `inputs`."""
        nepers, level = self.log_mel_units() or (None, None)
        return InputScale(
            hop_s=self.input_hop_s,
            inputs_per_frame=self.input_frames_per_frame,
            nepers=nepers,
            level=level,
        )

    def encode(self, inputs: Tensor, sliding: SlidingSettings | None = None) -> Encoded:
        """Frames as of `forward`, and tokens for a clip branch where the encoder has them.

        `sliding` mixes in short windows; only encoders of fixed position tables can do that.
        """
        if sliding is not None and sliding.frames:
            self.check_sliding(sliding)
        return Encoded(frames=self(inputs))

    def part(self, inputs: Tensor, name: str) -> Tensor:
        """One of `parts` of the frames of `forward`."""
        frames: Tensor = self(inputs)
        return frames[..., self.parts[name]]

    def check_sliding(self, sliding: SlidingSettings) -> None:
        """Refuse windows that this encoder cannot slide.

        Raises:
            InputError: the encoder slides none, or none that are so long.
        """
        if sliding.frames and not self.slides:
            raise InputError(
                f"encoder {self.settings.name}: slides no windows of its own; set sliding.frames 0"
            )
        if self.most_input_frames is not None and sliding.frames > self.most_input_frames:
            raise InputError(
                f"sliding.frames {sliding.frames}: encoder {self.settings.name} takes at most "
                f"{self.most_input_frames} at a time; set it to that or less"
            )

    def check_length(self, length_s: float, name: str) -> None:
        """Refuse examples, or windows, that are longer than this encoder takes.

        `name` is what errors call the setting.

        Raises:
            InputError: as said.
        """
        frames, most = round(length_s / self.input_hop_s), self.most_input_frames
        if most is not None and frames > most:
            raise InputError(
                f"{name} {length_s:g}: encoder {self.settings.name} takes at most "
                f"{most * self.input_hop_s:g} s at a time; set it to that or less"
            )

    def lacking_rate_hz(self, rate_hz: int) -> int | None:
        """The rate of recordings that lack what a pretrained encoder listens to; else None."""
        return rate_hz if self.needs_weights and rate_hz < self.sample_rate_hz else None

    def adapt(self, settings: LoraSettings) -> None:
        """Freeze the pretrained transformer but for low-rank changes of its upper blocks."""
        raise InputError(
            f"encoder {self.settings.name}: no transformer to change by LoRA; set lora.rank 0"
        )

    def projector(self, width: int) -> nn.Module:
        """A new module from frames of `forward` to the width of a context network."""
        return nn.Linear(self.width, width)

    @property
    def input_frames_per_frame(self) -> int:
        """How many frames of `inputs` make one frame of `forward`."""
        return round(self.hop_s / self.input_hop_s)

    def pooled_inputs(self, inputs: Tensor) -> Tensor:
        """Inputs averaged to the hop of `forward`: `(B, frames, input width)`."""
        return pool_frames(inputs, self.input_frames_per_frame)


def pad_frames(frames: Tensor, multiple: int) -> Tensor:
    """Repeat the last of `(B, T, channels)` until T is a multiple."""
    missing = -frames.shape[1] % multiple
    if missing == 0:
        return frames
    return torch.cat([frames, frames[:, -1:].expand(-1, missing, -1)], dim=1)


def pool_frames(frames: Tensor, factor: int) -> Tensor:
    """Average neighbours: `(B, T, channels)` to `(B, ceil(T / factor), channels)`."""
    if factor == 1:
        return frames
    padded = pad_frames(frames, factor)
    return torch.stack([padded[:, start::factor] for start in range(factor)]).mean(dim=0)
