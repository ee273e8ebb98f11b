"""Masked pretraining on the posteriors of prototypes (arXiv 2409.17656, section 3)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pmam.detector import MaskedAudioModel
from pmam.masking import MaskSettings, apply_mask, block_mask, draw
from pmam.pretext import PRETEXTS
from pmam.pretext.prototype_bce import mean_over, prototype_logits


@dataclass(frozen=True, kw_only=True)
class PretextSettings:
    """What is masked and which loss the masked frames pay."""

    # What is masked.
    mask: MaskSettings = field(default_factory=MaskSettings)
    # The loss of masked frames, by its name in `PRETEXTS`.
    objective: str = "prototype_bce"

    def __post_init__(self) -> None:
        if self.objective not in PRETEXTS:
            raise ValueError(f"objective {self.objective!r}: expected one of {', '.join(PRETEXTS)}")


@dataclass(frozen=True, kw_only=True)
class PretextBatch:
    """Clips with the posteriors of their frames."""

    inputs: Tensor  # (B, input frames, channels), calibrated
    posteriors: Tensor  # (B, T, K)
    padding: Tensor  # (B, T), true on frames that hold no audio


class Pretraining(nn.Module):
    """The model with its loss; a call is one step's loss and what to log of it."""

    means: Tensor

    def __init__(self, model: MaskedAudioModel, means: Tensor, settings: PretextSettings) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        # The prototypes come from their own artifact, never from a training checkpoint.
        self.register_buffer("means", means.float(), persistent=False)

    def forward(self, batch: PretextBatch, generator: torch.Generator) -> tuple[Tensor, dict]:  # type: ignore[type-arg]
        """Mean loss of the masked frames, and scalars to log."""
        mask_settings = self.settings.mask
        projected = self.model.backbone.embed(batch.inputs)
        frames = projected.shape[1]
        block_frames = max(1, round(mask_settings.block_s / self.model.backbone.encoder.hop_s))
        draws = draw(projected.shape[0], frames, block_frames, generator)
        mask = block_mask(draws.block_noise, frames, block_frames, mask_settings.rate)
        masked = apply_mask(projected, mask, self.model.mask_token, draws, mask_settings)
        output = self.model.predict(masked, batch.padding)
        # Without masking every frame pays: the model then copies what it is shown.
        paying = (mask if mask_settings.rate > 0 else torch.ones_like(mask)) & ~batch.padding
        losses = PRETEXTS[self.settings.objective](output, self.means, batch.posteriors)
        return mean_over(losses, paying), self._logs(output, batch.posteriors, paying)

    @torch.no_grad()
    def _logs(self, output: Tensor, posteriors: Tensor, paying: Tensor) -> dict[str, Tensor]:
        logits = prototype_logits(output[paying], self.means)
        shares = torch.softmax(logits, dim=-1).mean(dim=0)
        agrees = logits.argmax(dim=-1) == posteriors[paying].argmax(dim=-1)
        use = -(shares * torch.log(shares.clamp_min(1e-12))).sum()
        return {"accuracy": agrees.float().mean(), "use_entropy": use}
