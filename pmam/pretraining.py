"""Masked pretraining on the posteriors of prototypes (arXiv 2409.17656, section 3)."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from pmam.augment import AugmentSettings, Examples, augment_once
from pmam.detector import MaskedAudioModel, branch_probabilities
from pmam.lora import LoraSettings
from pmam.masking import MaskDraws, MaskSettings, apply_mask, block_mask, draw
from pmam.pretext import PRETEXTS
from pmam.pretext.clip_bce import WEIGHT, clip_bce, clip_labels
from pmam.pretext.health import health
from pmam.pretext.prototype_bce import mean_over, prototype_logits


@dataclass(frozen=True, kw_only=True)
class PretextSettings:
    """What is masked and which loss the masked frames pay."""

    # What is masked.
    mask: MaskSettings = field(default_factory=MaskSettings)
    # The loss of masked frames, by its name in `PRETEXTS`.
    objective: str = "prototype_bce"
    # What is done to the clips before they are masked.
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    # Low-rank changes of a pretrained transformer, which is frozen otherwise.
    lora: LoraSettings = field(default_factory=LoraSettings)
    # Of the loss of whole clips, where the encoder has a clip branch.
    clip_weight: float = WEIGHT

    def __post_init__(self) -> None:
        if self.augment.time_mask_s > 0:
            raise ValueError(
                f"time_mask_s {self.augment.time_mask_s}: expected 0 in pretraining, where "
                "silenced frames would have no posteriors; set mask.rate instead"
            )
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
        if settings.lora.rank:
            model.backbone.encoder.adapt(settings.lora)

    def forward(self, batch: PretextBatch, generator: torch.Generator) -> tuple[Tensor, dict]:  # type: ignore[type-arg]
        """Mean loss of the masked frames, and scalars to log."""
        mask_settings = self.settings.mask
        if self.settings.augment != AugmentSettings():
            batch = self._augmented(batch, generator)
        clips, frames = batch.posteriors.shape[:2]
        block_frames = max(1, round(mask_settings.block_s / self.model.backbone.encoder.hop_s))
        whole_blocks = mask_settings.one_more_block
        draws = draw(clips, frames, block_frames, generator, whole_blocks=whole_blocks)
        return self.losses(batch, draws, block_frames)

    def losses(
        self, batch: PretextBatch, draws: MaskDraws, block_frames: int
    ) -> tuple[Tensor, dict]:  # type: ignore[type-arg]
        """As `forward`, with the random numbers of the mask given."""
        mask_settings = self.settings.mask
        projected, clip = self.model.backbone.embed_with_clip(batch.inputs)
        mask = block_mask(
            draws.block_noise,
            projected.shape[1],
            block_frames,
            mask_settings.rate,
            one_more=mask_settings.one_more_block,
        )
        masked = apply_mask(projected, mask, self.model.mask_token, draws, mask_settings)
        output = self.model.predict(masked, batch.padding)
        # Without masking every frame pays: the model then copies what it is shown.
        paying = (mask if mask_settings.rate > 0 else torch.ones_like(mask)) & ~batch.padding
        losses = PRETEXTS[self.settings.objective](output, self.means, batch.posteriors)
        loss = mean_over(losses, paying)
        logs = self._logs(output, batch.posteriors, paying)
        branch = branch_probabilities(self.model.branch, clip)
        if branch is not None and self.settings.clip_weight > 0:
            clip_loss = clip_bce(branch, clip_labels(batch.posteriors, batch.padding))
            logs |= {"masked": loss.detach(), "clip": clip_loss.detach()}
            loss = loss + self.settings.clip_weight * clip_loss
        return loss, logs

    def _augmented(self, batch: PretextBatch, generator: torch.Generator) -> PretextBatch:
        examples = Examples(
            inputs=batch.inputs,
            padding=batch.padding,
            frames=batch.posteriors,
            clips=None,
            kind=torch.zeros(len(batch.inputs), dtype=torch.long),
        )
        scale = self.model.backbone.encoder.input_scale()
        made = augment_once(examples, self.settings.augment, scale, generator)
        return replace(batch, inputs=made.inputs, posteriors=made.frames, padding=made.padding)

    @torch.no_grad()
    def _logs(self, output: Tensor, posteriors: Tensor, paying: Tensor) -> dict[str, Tensor]:
        logits, targets = prototype_logits(output[paying], self.means), posteriors[paying]
        agrees = logits.argmax(dim=-1) == targets.argmax(dim=-1)
        return {"accuracy": agrees.float().mean(), **health(logits, targets)}
