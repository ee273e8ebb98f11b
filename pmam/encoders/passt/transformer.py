"""PaSST's transformer over patches of a spectrogram (arXiv 2110.05069), without frames or tags."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.errors import InputError

NORM_EPS = 1e-6
PATCH = 16  # mel bands, and frames
STRIDE = 10


def patches(length: int) -> int:
    """How many patches lie along an axis of `length` bands or frames."""
    return (length - PATCH) // STRIDE + 1


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, N, width)` to the same."""
        batch, tokens, width = x.shape
        query, key, value = (
            self.qkv(x)
            .view(batch, tokens, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)  # each (B, heads, N, width / heads)
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class MLP(nn.Module):
    """Two layers with an exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, N, width)` to the same."""
        out: Tensor = self.fc2(nn.functional.gelu(self.fc1(x)))
        return out


class TransformerBlock(nn.Module):
    """A pre-norm transformer block (arXiv 2010.11929, equations 2 and 3)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = MLP(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, N, width)` to the same."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


@dataclass(frozen=True, kw_only=True)
class PaSSTSettings:
    """The size of the transformer; the defaults are those of `passt-s-f128-p16-s10`."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    mels: int = 128
    columns: int = 99  # of the table of time positions: 998 frames


class PaSST(nn.Module):
    """The transformer without its tagging heads.

    Tokens are one for the class and one for distillation, then the patches, frequency by
    frequency: `(B, 2 + rows * columns, width)`.
    """

    def __init__(self, settings: PaSSTSettings) -> None:
        super().__init__()
        width = settings.width
        self.settings = settings
        self.draws = True  # where the table of positions begins, in training
        self.rows = patches(settings.mels)
        self.patch_embed = nn.Conv2d(1, width, PATCH, stride=STRIDE)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.token_positions = nn.Parameter(torch.zeros(1, 2, width))
        self.row_positions = nn.Parameter(torch.zeros(1, width, self.rows, 1))
        self.column_positions = nn.Parameter(torch.zeros(1, width, 1, settings.columns))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, settings.heads, 4 * width) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        for name, parameter in self.named_parameters():
            if name.endswith(("_token", "_positions")):
                nn.init.trunc_normal_(parameter, std=0.02)

    @property
    def most_frames(self) -> int:
        """The longest input that the table of time positions covers."""
        return PATCH + STRIDE * self.settings.columns - 1

    def patch_tokens(self, logmel: Tensor) -> Tensor:
        """`(B, mels, T)` to the tokens that enter the first block.

        In training, positions of shorter inputs begin anywhere in the table, as PaSST's own do.

        Raises:
            InputError: another number of mel bands, or a length that is not covered.
        """
        batch, mels, frames = logmel.shape
        if mels != self.settings.mels or not PATCH <= frames <= self.most_frames:
            raise InputError(
                f"PaSST: got {mels} mel bands x {frames} frames; expected {self.settings.mels} x "
                f"{PATCH} to {self.most_frames}: cut the audio into windows of at most 10 s"
            )
        image = self.patch_embed(logmel.unsqueeze(1))  # (B, width, rows, columns)
        columns = image.shape[3]
        spare = self.settings.columns - columns
        first = int(torch.randint(spare + 1, ())) if self.training and spare else 0
        image = image + self.column_positions[..., first : first + columns] + self.row_positions
        special = torch.cat([self.cls_token, self.dist_token], dim=1) + self.token_positions
        return torch.cat([special.expand(batch, -1, -1), image.flatten(2).transpose(1, 2)], dim=1)

    def layers(self, logmel: Tensor, wanted: tuple[int, ...]) -> list[Tensor]:
        """Tokens after the blocks of these numbers (1 is the first), in rising order.

        Blocks above the last one wanted are not computed.
        """
        if not wanted or list(wanted) != sorted(set(wanted)) or wanted[0] < 1:
            raise ValueError(f"layers {wanted}: expected different numbers from 1 on, rising")
        if wanted[-1] > len(self.blocks):
            raise ValueError(f"layer {wanted[-1]}: expected at most {len(self.blocks)}")
        tokens = self.patch_tokens(logmel)
        if torch.is_grad_enabled() or tokens.device.type != "cpu" or torch.compiler.is_exporting():
            return self._outputs(tokens, wanted)
        # What the blocks make of one clip is small enough for memory that is at hand already;
        # that of a batch comes from the system each time, and costs more than the sums in it.
        clips = [self._outputs(clip, wanted) for clip in torch.split(tokens, 1)]
        return [torch.cat(layer) for layer in zip(*clips, strict=True)]

    def _outputs(self, x: Tensor, wanted: tuple[int, ...]) -> list[Tensor]:
        outputs = []
        for number, block in enumerate(self.blocks[: wanted[-1]], start=1):
            x = block(x)
            if number in wanted:
                outputs.append(x)
        return outputs

    def grid(self, tokens: Tensor) -> Tensor:
        """Patch tokens by column: `(B, 2 + rows * columns, width)` to `(B, columns, rows, width)`.

        The tokens of class and distillation stay out.
        """
        batch, _, width = tokens.shape
        return tokens[:, 2:].reshape(batch, self.rows, -1, width).transpose(1, 2)
