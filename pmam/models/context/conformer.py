"""A stack of conformer blocks (arXiv 2005.08100) with relative attention."""

from torch import Tensor, nn

from pmam.models.context.transformer_xl import ContextNetwork, Positions, RelativeAttention
from pmam.models.settings import ContextSettings

# Frames that the convolution of a conformer block spans (arXiv 2005.08100, section 3.4.4: 32).
CONVOLUTION_FRAMES = 31


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


def build(settings: ContextSettings) -> Conformer:
    """The network of these settings, with fresh weights."""
    return Conformer(
        settings.width, settings.layers, settings.heads, settings.hidden, settings.dropout
    )
