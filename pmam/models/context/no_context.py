"""No context network: frames pass as they are."""

from torch import Tensor, nn

from pmam.models.context.transformer_xl import ContextNetwork
from pmam.models.settings import ContextSettings


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


def build(_settings: ContextSettings) -> NoContext:
    """The network of these settings, with fresh weights."""
    return NoContext()
