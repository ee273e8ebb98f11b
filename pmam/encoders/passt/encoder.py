"""PaSST as a frame encoder: the tokens of one of its blocks, pooled over frequency."""

import torch
from torch import Tensor, nn

from pmam.encoders.base import Encoded
from pmam.encoders.cnn import resample_frames
from pmam.encoders.log_mel_encoder import LogMelEncoder
from pmam.encoders.lora import adapt_blocks
from pmam.encoders.passt.state_dict_names import passt_tensors
from pmam.encoders.passt.transformer import PATCH, STRIDE, PaSST, PaSSTSettings
from pmam.encoders.published import PublishedFile
from pmam.encoders.settings import EncoderSettings, LoraSettings, SlidingSettings
from pmam.encoders.sliding_windows import slide
from pmam.errors import InputError
from pmam.models.attention_pooling import AttentionPooling
from pmam.models.state_dict import load_fitting

# Attention heads of the pooling over frequency, and over all tokens of a clip.
POOLING_HEADS = 6
CLIP_HEADS = 12


class PaSSTFrames(nn.Module):
    """PaSST with what makes frames of its tokens: 100 a second, like the log-mel.

    Args:
        settings: of the transformer.
        layer: the block whose tokens become frames.
        pooling_heads: attention heads of the pooling over frequency.
    """

    def __init__(self, settings: PaSSTSettings, layer: int, pooling_heads: int = 6) -> None:
        super().__init__()
        if not 1 <= layer <= settings.depth:
            raise InputError(f"layer {layer}: expected a block from 1 to {settings.depth}")
        self.layer = layer
        self.passt = PaSST(settings)
        self.out_norm = nn.LayerNorm(settings.width)
        self.pool = AttentionPooling(settings.width, pooling_heads)

    def columns(self, tokens: Tensor) -> Tensor:
        """Tokens of a layer, pooled over frequency: `(B, columns, width)`, ten a second."""
        pooled: Tensor = self.pool(self.passt.grid(self.out_norm(tokens)))
        return pooled

    def frames(self, logmel: Tensor) -> Tensor:
        """`(B, mels, T)` to `(B, T, width)`; the blocks above the layer are not computed."""
        padded = at_least_a_patch(logmel)
        (tokens,) = self.passt.layers(padded, (self.layer,))
        return spread_columns(self.columns(tokens), logmel.shape[2])

    def local_frames(self, logmel: Tensor) -> Tensor:
        """`(B, mels, T)` to `(B, 10 * columns, width)`: those frames alone that patches cover."""
        (tokens,) = self.passt.layers(logmel, (self.layer,))
        columns = self.columns(tokens)
        return resample_frames(columns, STRIDE * columns.shape[1])

    def frames_and_tokens(self, logmel: Tensor) -> tuple[Tensor, Tensor]:
        """Frames, and the normalised patch tokens of the last block `(B, N, width)`."""
        padded = at_least_a_patch(logmel)
        depth = len(self.passt.blocks)
        outputs = self.passt.layers(padded, tuple(sorted({self.layer, depth})))
        frames = spread_columns(self.columns(outputs[0]), logmel.shape[2])
        return frames, self.passt.norm(outputs[-1][:, 2:])


def at_least_a_patch(logmel: Tensor) -> Tensor:
    """Repeat the last frame of `(B, mels, T)` until one patch fits."""
    missing = PATCH - logmel.shape[2]
    if missing <= 0:
        return logmel
    return torch.cat([logmel, logmel[..., -1:].expand(-1, -1, missing)], dim=2)


def spread_columns(columns: Tensor, frames: int) -> Tensor:
    """`(B, columns, width)` at ten a second to `(B, frames, width)` at a hundred.

    The last column is repeated to the end, then all are interpolated linearly.
    """
    missing = -(-frames // STRIDE) - columns.shape[1]
    if missing > 0:
        columns = torch.cat([columns, columns[:, -1:].expand(-1, missing, -1)], dim=1)
    return resample_frames(columns, STRIDE * columns.shape[1])[:, :frames]


class PaSSTEncoder(LogMelEncoder):
    """PaSST alone: 768 channels, 100 frames a second, at most ten seconds at a time."""

    needs_weights = True
    has_transformer = True
    # PaSST-S with overlapping patches, trained on AudioSet (Apache 2.0 licence). The sha256 is not
    # published with the file: several projects that pin it state it, independently of each other.
    published = PublishedFile(
        name="passt-s",
        url="https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
        sha256="302903fa8c4aee817b11dc982da0b29aaf8d11a3e722420476d0a12c9db70c2c",
    )
    # PMAM counts the norm of the frames as a head, the pooling over frequency as decoder.
    parameter_groups = (
        (r"transformer\.passt\.(norm|blocks\.(8|9|10|11))\.", "passt_top"),
        (r"transformer\.passt\.", "passt"),
        (r"transformer\.out_norm\.", "head"),
        (r"transformer\.pool\.", "decoder"),
        (r"", "cnn"),
    )
    published_parts = ("after_interpolate",)
    slides = True

    def __init__(self, settings: EncoderSettings, size: PaSSTSettings | None = None) -> None:
        super().__init__(settings)
        size = size or PaSSTSettings()
        self.transformer = PaSSTFrames(size, settings.transformer_layer, POOLING_HEADS)
        self.width = self.token_width = size.width
        self.token_heads = CLIP_HEADS
        self.parts = {"after_interpolate": slice(0, size.width)}
        self.most_input_frames = self.transformer.passt.most_frames

    def load_published(self, published: dict[str, Tensor]) -> None:
        """Take PaSST's published state dict; what makes frames of it starts untrained."""
        load_fitting(self.transformer.passt, passt_tensors(published))

    def adapt(self, settings: LoraSettings) -> None:
        """LoRA on every linear layer; blocks from the first one given on and the norm train."""
        adapt_blocks(self.transformer.passt, settings, self.settings.name)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(B, T, mels)` to `(B, T, 768)`, T of at most 1005."""
        frames: Tensor = self.transformer.frames(inputs.transpose(1, 2))
        return frames

    def encode(self, inputs: Tensor, sliding: SlidingSettings | None = None) -> Encoded:
        """Frames and tokens; with `sliding`, frames are mixed with those of short windows."""
        logmel = inputs.transpose(1, 2)
        frames, tokens = self.transformer.frames_and_tokens(logmel)
        if sliding is not None:
            frames = slide(self.transformer.local_frames, logmel, frames, sliding)
        return Encoded(frames=frames, tokens=tokens)
