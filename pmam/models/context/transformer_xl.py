"""The context network: Transformer-XL blocks with relative positions (arXiv 1901.02860)."""

import math

import torch
from torch import Tensor, nn

from pmam.errors import InputError
from pmam.models.context.relative_attention import RelativeAttentionFunction
from pmam.models.settings import ContextSettings


def relative_positions(frames: int, width: int) -> Tensor:
    """Sinusoids `(2 frames - 1, width)`; row j encodes the distance `frames - 1 - j`.

    Sine in even columns, cosine in odd ones (arXiv 1706.03762, section 3.5).
    """
    distance = torch.arange(frames - 1, -frames, -1, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    table = torch.zeros(2 * frames - 1, width)
    table[:, 0::2] = torch.sin(distance * rate)
    table[:, 1::2] = torch.cos(distance * rate)
    return table


class Positions:
    """The table of `relative_positions` of one width, kept for the last length and device."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.kept: tuple[int, torch.device, Tensor] | None = None

    def __call__(self, frames: int, device: torch.device) -> Tensor:
        """`(2 frames - 1, width)`."""
        if self.kept is None or self.kept[:2] != (frames, device):
            # A table made while scoring must serve training too.
            with torch.inference_mode(False):
                table = relative_positions(frames, self.width).to(device)
            self.kept = (frames, device, table)
        return self.kept[2]


def relative_shift(scores: Tensor) -> Tensor:
    """Align `(B, heads, T, 2 T - 1)`, by distance, to `(B, heads, T, T)`, by key.

    Entry (i, j) of the result is the score of distance i - j (arXiv 1901.02860, appendix B): it
    lies at column T - 1 - i + j, so the rows of the result begin one column earlier each. That
    is a view of rows whose last two dimensions are contiguous, and copies nothing.
    """
    batch, heads, frames, distances = scores.shape
    if frames == 1:
        return scores
    if torch.compiler.is_compiling():
        # The same by slices, whose gradients would be copies if they were not compiled.
        rows = scores.flatten(2)[..., frames - 1 : frames - 1 + frames * (distances - 1)]
        return rows.reshape(batch, heads, frames, distances - 1)[..., :frames]
    if scores.stride()[2:] != (distances, 1):
        scores = scores.contiguous()
    return scores.as_strided(
        (batch, heads, frames, frames),
        (*scores.stride()[:2], distances - 1, 1),
        scores.storage_offset() + frames - 1,
    )


class RelativeAttention(nn.Module):
    """Self-attention whose scores add a term of content and a term of distance."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads or width % 2:
            raise InputError(f"width {width}: expected an even multiple of the {heads} heads")
        self.heads = heads
        self.dropout = dropout
        self.in_proj = nn.Linear(width, 3 * width)
        self.linear_pos = nn.Linear(width, width, bias=False)
        self.out_proj = nn.Linear(width, width)
        self.pos_bias_u = nn.Parameter(torch.zeros(heads, width // heads))
        self.pos_bias_v = nn.Parameter(torch.zeros(heads, width // heads))

    def forward(self, x: Tensor, positions: Tensor, padding: Tensor | None) -> Tensor:
        """`x (B, T, width)`, `positions (2T - 1, width)`, `padding (B, T)` true where void."""
        projected, distance = self.in_proj(x), self.linear_pos(positions)
        dropout = self.dropout if self.training else 0.0
        if _differentiated_here(projected):
            read = RelativeAttentionFunction.apply(  # type: ignore[no-untyped-call]
                projected, distance, self.pos_bias_u, self.pos_bias_v, padding, dropout
            )
        else:
            read = self._fused(projected, distance, padding, dropout)
        out: Tensor = self.out_proj(read)
        return out

    def _fused(
        self, projected: Tensor, distance: Tensor, padding: Tensor | None, dropout: float
    ) -> Tensor:
        """The same by torch's kernels, for accelerators, compilers and scoring."""
        batch, frames, width = projected.shape[0], projected.shape[1], len(distance[0])
        query, key, value = (
            part.view(batch, frames, self.heads, -1).transpose(1, 2)
            for part in projected.chunk(3, dim=-1)
        )  # each (B, heads, T, width / heads)
        distance = distance.view(-1, self.heads, width // self.heads)
        by_distance = self._by_distance(query + self.pos_bias_v[:, None], distance)
        bias = relative_shift(by_distance) / math.sqrt(width // self.heads)  # (B, heads, T, T)
        if padding is not None:
            # Finite: with minus infinity a clip of padding alone would be NaN, and so the loss.
            least = torch.finfo(bias.dtype).min
            bias = bias.masked_fill(padding[:, None, None, :], least)
        # The fused kernel scales the content term and adds the bias of distances as it is.
        mixed = nn.functional.scaled_dot_product_attention(
            query + self.pos_bias_u[:, None],
            key,
            value,
            attn_mask=bias,
            dropout_p=dropout,
        )
        return mixed.transpose(1, 2).reshape(batch, frames, width)

    @staticmethod
    def _by_distance(query: Tensor, distance: Tensor) -> Tensor:
        """`(B, heads, T, d)`, `(distances, heads, d)` to `(B, heads, T, distances)`.

        All clips meet the same distances: one product per head, not one per clip and head.
        """
        batch, heads, frames, width = query.shape
        rows = query.transpose(0, 1).reshape(heads, batch * frames, width)
        scores = rows @ distance.permute(1, 2, 0)  # (heads, B * T, distances)
        return scores.view(heads, batch, frames, -1).transpose(0, 1)


def _differentiated_here(projected: Tensor) -> bool:
    """Whether gradients are taken on a processor, in single precision, by the interpreter."""
    return (
        projected.requires_grad
        and projected.device.type == "cpu"
        and projected.dtype == torch.float32
        and not torch.compiler.is_compiling()
    )


class TransformerXLBlock(nn.Module):
    """Attention, added to its *normalised* input as in PMAM's published code, then an MLP.

    In the textbook's pre-norm block the residual path around attention is not normalised.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = RelativeAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor, padding: Tensor | None) -> Tensor:
        """`(B, T, width)` to `(B, T, width)`."""
        x = self.norm1(x)
        x = x + self.drop(self.attn(x, positions, padding))
        out: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return out


class ContextNetwork(nn.Module):
    """What every context network is: blocks over frames `(B, T, width)` of any number T."""

    blocks: nn.ModuleList

    def forward(
        self, x: Tensor, padding: Tensor | None = None, layers: int | None = None
    ) -> Tensor:
        """`(B, T, width)` to `(B, T, width)`, through the first `layers` blocks (default: all).

        `padding (B, T)` is true on frames to ignore, the last ones of a clip.
        """
        raise NotImplementedError


class TransformerXL(ContextNetwork):
    """A stack of Transformer-XL blocks.

    Args:
        width: channels in and out.
        layers: number of blocks.
        heads: attention heads; they share the width.
        hidden: channels inside each MLP.
        dropout: on attention weights and on what each part adds.
    """

    def __init__(self, width: int, layers: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.blocks = nn.ModuleList(
            TransformerXLBlock(width, heads, hidden, dropout) for _ in range(layers)
        )
        self.positions = Positions(width)

    def forward(
        self, x: Tensor, padding: Tensor | None = None, layers: int | None = None
    ) -> Tensor:
        """As `ContextNetwork.forward`."""
        positions = self.positions(x.shape[1], x.device)
        if padding is not None and padding.device.type == "cpu" and not padding.any():
            padding = None  # a look at it costs nothing here, and masking passes over all pairs
        # The scale has nearly no effect before a normalisation; the reference has it too.
        x = x * math.sqrt(self.width)
        for block in self.blocks[:layers]:
            x = block(x, positions, padding)
        return x


def build(settings: ContextSettings) -> TransformerXL:
    """The network of these settings, with fresh weights."""
    return TransformerXL(
        settings.width, settings.layers, settings.heads, settings.hidden, settings.dropout
    )
