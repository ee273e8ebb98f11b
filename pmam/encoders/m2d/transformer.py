"""M2D's transformer over patches of a log-mel (arXiv 2404.06095): ViT-B, for inference."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pmam.encoders.m2d.front_end import MELS, NORM_STATS
from pmam.encoders.passt.transformer import NORM_EPS, TransformerBlock
from pmam.errors import InputError

PATCH_MELS = 16


@dataclass(frozen=True, kw_only=True)
class M2DSettings:
    """The size of the transformer; the defaults are those of `80x1001p16x16`."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    frames: int = 1001  # of log-mel at a time, 10 ms each
    patch_frames: int = 16

    @property
    def rows(self) -> int:
        """Patches over frequency."""
        return MELS // PATCH_MELS

    @property
    def columns(self) -> int:
        """Patches over time, those of the table of positions."""
        return self.frames // self.patch_frames

    @property
    def input_size(self) -> str:
        """As the names of published files tell it."""
        return f"{MELS}x{self.frames}p{PATCH_MELS}x{self.patch_frames}"


class M2D(nn.Module):
    """Normalised log-mel to tokens: one for the class, then the patches, frequency by frequency."""

    norm_stats: Tensor

    def __init__(self, settings: M2DSettings) -> None:
        super().__init__()
        width = settings.width
        self.settings = settings
        patch = (PATCH_MELS, settings.patch_frames)
        self.patch_embed = nn.Conv2d(1, width, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        tokens = 1 + settings.rows * settings.columns
        self.positions = nn.Parameter(torch.zeros(1, tokens, width))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, settings.heads, 4 * width) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.register_buffer("norm_stats", torch.tensor(NORM_STATS))
        for parameter in (self.cls_token, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)

    def normalised(self, logmel: Tensor) -> Tensor:
        """Log-mel by the mean and standard deviation that the weights were trained with."""
        mean, deviation = self.norm_stats
        standard: Tensor = (logmel - mean) / deviation
        return standard

    def patch_tokens(self, logmel: Tensor) -> Tensor:
        """Normalised `(B, mels, T)` to the tokens that enter the first block.

        Frames behind the last whole patch are not heard; positions of shorter inputs are the first
        ones of the table.

        Raises:
            InputError: another number of mel bands, or a length that the table does not cover.
        """
        settings = self.settings
        batch, mels, frames = logmel.shape
        columns = frames // settings.patch_frames
        if mels != MELS or not 1 <= columns <= settings.columns:
            most = (settings.columns + 1) * settings.patch_frames - 1
            raise InputError(
                f"M2D: got {mels} mel bands x {frames} frames; expected {MELS} x "
                f"{settings.patch_frames} to {most}: cut the audio into shorter windows"
            )
        image = self.patch_embed(logmel.unsqueeze(1))  # (B, width, rows, columns)
        # (1, rows, columns, width)
        table = self.positions[:, 1:].view(1, settings.rows, settings.columns, -1)
        image = image + table[:, :, :columns].permute(0, 3, 1, 2)
        first = (self.cls_token + self.positions[:, :1]).expand(batch, -1, -1)
        return torch.cat([first, image.flatten(2).transpose(1, 2)], dim=1)

    def forward(self, logmel: Tensor) -> Tensor:
        """Normalised `(B, mels, T)` to `(B, 1 + rows * columns, width)`, after the last norm."""
        x = self.patch_tokens(logmel)
        for block in self.blocks:
            x = block(x)
        tokens: Tensor = self.norm(x)
        return tokens

    def grid(self, tokens: Tensor) -> Tensor:
        """Patch tokens by column: `(B, columns, rows, width)`; the class token stays out."""
        batch, _, width = tokens.shape
        return tokens[:, 1:].reshape(batch, self.settings.rows, -1, width).transpose(1, 2)

    @torch.no_grad()
    def attention(self, logmel: Tensor, block: int = -1) -> Tensor:
        """Attention weights of one block, `(B, heads, tokens, tokens)`; rows add up to 1."""
        x = self.patch_tokens(logmel)
        blocks: list[Any] = list(self.blocks)
        chosen = range(len(blocks))[block]
        for each in blocks[:chosen]:
            x = each(x)
        attending = blocks[chosen]
        batch, tokens, width = x.shape
        heads = attending.attn.heads
        queries, keys, _ = (
            attending.attn.qkv(attending.norm1(x))
            .view(batch, tokens, 3, heads, width // heads)
            .permute(2, 0, 3, 1, 4)  # each (B, heads, N, width / heads)
        )
        weights: Tensor = queries @ keys.transpose(-2, -1) * queries.shape[-1] ** -0.5
        return weights.softmax(dim=-1)
