"""The context networks by name; to add one, write a class and one line in `CONTEXTS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from pmam.models.context.transformer_xl import (
    ContextNetwork,
    Positions,
    RelativeAttention,
    TransformerXL,
)

if TYPE_CHECKING:  # the settings lie beside the model that they are a part of
    from pmam.models.detector import ContextSettings

# Frames that the convolution of a conformer block spans (arXiv 2005.08100, section 3.4.4: 32).
CONVOLUTION_FRAMES = 31


class RecurrentBlock(nn.Module):
    """One bidirectional GRU layer; each direction gives half of the channels."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width {width}: expected an even number, half for each direction")
        self.gru = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """`(B, T, width)` to `(B, T, width)`; 0 on padding."""
        if padding is None:
            out: Tensor = self.gru(x)[0]
        else:
            # Packed, so that the backward direction begins at the last frame that holds audio.
            lengths = (~padding).sum(dim=1).clamp_min(1).cpu()
            packed = nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
            out, _ = nn.utils.rnn.pad_packed_sequence(
                self.gru(packed)[0], batch_first=True, total_length=x.shape[1]
            )
        dropped: Tensor = self.drop(out)
        return dropped


class GRU(ContextNetwork):
    """A stack of bidirectional GRU layers."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(RecurrentBlock(width, dropout) for _ in range(layers))

    def forward(
        self, x: Tensor, padding: Tensor | None = None, layers: int | None = None
    ) -> Tensor:
        """As `ContextNetwork.forward`."""
        for block in self.blocks[:layers]:
            x = block(x, padding)
        return x


class ConvolutionModule(nn.Module):
    """Gated, depthwise convolution over time (arXiv 2005.08100, section 2.2).

    Normalised per frame instead of per batch: padding and small batches then change nothing.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gated = nn.Linear(width, 2 * width)
        self.over_time = nn.Conv1d(
            width, width, CONVOLUTION_FRAMES, padding="same", groups=width, bias=False
        )
        self.inner_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """`(B, T, width)` to `(B, T, width)`."""
        x = nn.functional.glu(self.gated(self.norm(x)), dim=-1)
        if padding is not None:
            x = x.masked_fill(padding[..., None], 0.0)
        x = self.over_time(x.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = self.drop(self.out(nn.functional.silu(self.inner_norm(x))))
        return mixed


class ConformerBlock(nn.Module):
    """Half an MLP, relative attention, convolution, half an MLP (arXiv 2005.08100, eq. 1)."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.mlp_before = _mlp(width, hidden, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RelativeAttention(width, heads, dropout)
        self.convolution = ConvolutionModule(width, dropout)
        self.mlp_after = _mlp(width, hidden, dropout)
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor, padding: Tensor | None) -> Tensor:
        """`(B, T, width)` to `(B, T, width)`."""
        x = x + 0.5 * self.mlp_before(x)
        x = x + self.drop(self.attention(self.attention_norm(x), positions, padding))
        x = x + self.convolution(x, padding)
        out: Tensor = self.norm(x + 0.5 * self.mlp_after(x))
        return out


def _mlp(width: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        nn.Dropout(dropout),
    )


class Conformer(ContextNetwork):
    """A stack of conformer blocks."""

    def __init__(self, width: int, layers: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.positions = Positions(width)
        self.blocks = nn.ModuleList(
            ConformerBlock(width, heads, hidden, dropout) for _ in range(layers)
        )

    def forward(
        self, x: Tensor, padding: Tensor | None = None, layers: int | None = None
    ) -> Tensor:
        """As `ContextNetwork.forward`."""
        positions = self.positions(x.shape[1], x.device)
        for block in self.blocks[:layers]:
            x = block(x, positions, padding)
        return x


class NoContext(ContextNetwork):
    """No context network: frames pass as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()

    def forward(
        self, x: Tensor, padding: Tensor | None = None, layers: int | None = None
    ) -> Tensor:
        """`(B, T, width)`, unchanged."""
        return x


CONTEXTS: dict[str, Callable[[ContextSettings], ContextNetwork]] = {
    "transformer_xl": lambda s: TransformerXL(s.width, s.layers, s.heads, s.hidden, s.dropout),
    "gru": lambda s: GRU(s.width, s.layers, s.dropout),
    "conformer": lambda s: Conformer(s.width, s.layers, s.heads, s.hidden, s.dropout),
    "none": lambda s: NoContext(),
}


def build_context(settings: ContextSettings) -> ContextNetwork:
    """The context network of a name, with fresh weights.

    Raises:
        ValueError: the name is not in `CONTEXTS`.
    """
    if settings.network not in CONTEXTS:
        raise ValueError(
            f"context network {settings.network!r}: expected one of {', '.join(CONTEXTS)}"
        )
    return CONTEXTS[settings.network](settings)
