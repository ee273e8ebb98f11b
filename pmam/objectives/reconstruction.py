"""Reconstruction as a second task of fine-tuning: the encoder's inputs from the context's frames.

What multitask learning adds to weakly labelled detection (arXiv 2008.07085, eq. 2), here beside the
losses of a detector with a context network.
"""

from torch import Tensor, nn

from pmam.models.backbone import Backbone
from pmam.training.gradient_accumulation import mean_over


class ReconstructionHead(nn.Module):
    """One linear layer from context frames `(B, T, width)` to inputs `(B, T, input width)`.

    Args:
        backbone: the student's, whose inputs are calibrated to mean 0 and deviation 1.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.output = nn.Linear(backbone.settings.context.width, backbone.encoder.calibration.width)

    def forward(self, context: Tensor) -> Tensor:
        """What the inputs are taken for."""
        output: Tensor = self.output(context)
        return output


def reconstruction_loss(output: Tensor, inputs: Tensor, padding: Tensor, total: Tensor) -> Tensor:
    """`sum_t mean_d (output_td - input_td)^2 / total` over the frames that hold audio.

    Args:
        output: `(B, T, input width)`.
        inputs: of the encoder, averaged to the hop of its frames, the same shape.
        padding: `(B, T)`, true on frames that hold no audio.
        total: how many frames of the whole batch hold audio.
    """
    return mean_over((output - inputs).square().mean(dim=-1), ~padding, total)
