"""Prototypes as a second task of fine-tuning: masked prediction on clips without labels."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pmam.models.backbone import Backbone
from pmam.models.masked_audio_model import prediction_head
from pmam.objectives.losses.registry import PRETEXTS
from pmam.objectives.masked_prediction import MaskedBatch, PretextBatch, frame_weights
from pmam.objectives.masking import apply_mask, draw
from pmam.objectives.settings import AuxiliarySettings
from pmam.training.clip_draws import Random
from pmam.training.gradient_accumulation import mean_over


class AuxiliaryTask(nn.Module):
    """A head and a mask token of its own on the backbone that is fine-tuned.

    `loss = sum_t m_t objective_t / sum_t m_t` over the masked frames `m` of all unlabelled clips of
    a batch, by the formulas of pretraining (arXiv 2409.17656, section 3). Fine-tuning adds it,
    times `settings.weight`, to its own loss.

    Args:
        width: of the backbone's frames.
        means: of the prototypes, `(K, features)`.
        settings: mask, objective and temperature.
    """

    means: Tensor

    def __init__(self, width: int, means: Tensor, settings: AuxiliarySettings) -> None:
        super().__init__()
        self.settings = settings
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.head = prediction_head(width, means.shape[1])
        # The prototypes come from their own artifact, never from a training checkpoint.
        self.register_buffer("means", means.float(), persistent=False)

    @torch.no_grad()
    def prepare(self, batch: PretextBatch, hop_s: float, generator: Random) -> MaskedBatch:
        """Draw what is masked of some clips, whose frames are `hop_s` apart."""
        mask = self.settings.mask
        clips, frames = batch.padding.shape
        block_frames = mask.block_frames(hop_s)
        draws = draw(clips, frames, block_frames, generator, whole_blocks=mask.one_more_block)
        return MaskedBatch(
            examples=batch, draws=draws.to(batch.inputs.device), block_frames=block_frames
        )

    def totals(self, masked: MaskedBatch) -> dict[str, Tensor]:
        """What the mean is over: masked frames."""
        return {"auxiliary": self._weights(masked, masked.mask(self.settings.mask)).sum()}

    def partial_loss(
        self, backbone: Backbone, masked: MaskedBatch, totals: Mapping[str, Tensor]
    ) -> Tensor:
        """What a part of a batch adds to the batch's loss, not yet weighted."""
        batch, settings = masked.examples, self.settings
        projected, mask = backbone.embed(batch.inputs), masked.mask(settings.mask)
        filled = apply_mask(projected, mask, self.mask_token, masked.draws, settings.mask)
        output = self.head(backbone.context(filled, batch.padding))
        with torch.autocast(output.device.type, enabled=False):
            objective = PRETEXTS[settings.objective]
            losses = objective(output.float(), self.means, batch.posteriors, settings.temperature)
            return mean_over(losses, self._weights(masked, mask), totals["auxiliary"])

    def _weights(self, masked: MaskedBatch, mask: Tensor) -> Tensor:
        unmasked = 0.0 if self.settings.mask.rate > 0 else 1.0
        return frame_weights(mask, masked.examples.padding, unmasked)
