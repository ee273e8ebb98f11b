"""A stack of bidirectional GRU layers."""

from torch import Tensor, nn

from pmam.errors import InputError
from pmam.models.context.transformer_xl import ContextNetwork
from pmam.models.settings import ContextSettings


class RecurrentBlock(nn.Module):
    """One bidirectional GRU layer; each direction gives half of the channels."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        if width % 2:
            raise InputError(f"width {width}: expected an even number, half for each direction")
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


def build(settings: ContextSettings) -> GRU:
    """The network of these settings, with fresh weights."""
    return GRU(settings.width, settings.layers, settings.dropout)
