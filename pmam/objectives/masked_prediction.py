"""Masked pretraining on the posteriors of prototypes (arXiv 2409.17656, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pmam.augment.chain import InputBatch, augment_once
from pmam.augment.settings import AugmentSettings
from pmam.models.backbone import branch_probabilities
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.objectives.collapse import health_terms
from pmam.objectives.losses.clip_bce import clip_bce, clip_labels
from pmam.objectives.losses.prototype_bce import prototype_logits
from pmam.objectives.losses.registry import PRETEXTS
from pmam.objectives.masking import MaskDraws, apply_mask, block_mask, draw
from pmam.objectives.settings import MaskSettings, PretextSettings
from pmam.training.clip_draws import Random
from pmam.training.gradient_accumulation import mean_over, split


@dataclass(frozen=True, kw_only=True)
class PretextBatch:
    """Clips with the posteriors of their frames."""

    inputs: Tensor  # (B, input frames, channels), calibrated
    posteriors: Tensor  # (B, T, K)
    padding: Tensor  # (B, T), true on frames that hold no audio


@dataclass(frozen=True, kw_only=True)
class MaskedBatch:
    """Clips with all that is drawn for them."""

    examples: PretextBatch
    draws: MaskDraws
    block_frames: int

    def mask(self, settings: MaskSettings) -> Tensor:
        """Which frames are masked, `(B, T)`."""
        return block_mask(
            self.draws.block_noise,
            self.examples.padding.shape[1],
            self.block_frames,
            settings.rate,
            one_more=settings.one_more_block,
        )

    def split(self, parts: int) -> "list[MaskedBatch]":
        """In parts of some clips each; a random frame then comes from the same part.

        One that comes from the clip itself stays that one, so that parts change no loss.
        """
        made = []
        both = zip(split(self.examples, parts), split(self.draws, parts), strict=True)
        for number, (examples, draws) in enumerate(both):
            clips, frames = draws.source.shape
            now = torch.arange(clips, device=draws.source.device)[:, None]
            before = number + now * parts
            source = (draws.source + (now - before) * frames) % draws.source.numel()
            part = replace(draws, source=source)
            made.append(replace(self, examples=examples, draws=part))
        return made


def frame_weights(mask: Tensor, padding: Tensor, unmasked_weight: float) -> Tensor:
    """What each frame weighs in the mean loss: 1 masked, `unmasked_weight` else, 0 for padding.

    `loss = sum_t w_t loss_t / sum_t w_t`; with a weight of 0 that is the mean over masked frames
    (arXiv 2409.17656, section 3), with 1 the mean over all.

    Args:
        mask: `(B, T)`, true on masked frames.
        padding: `(B, T)`, true on frames that hold no audio.
        unmasked_weight: of a frame that is shown.
    """
    weights = torch.where(mask, 1.0, unmasked_weight)
    return weights.masked_fill(padding, 0.0)


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

    def forward(self, batch: PretextBatch, generator: Random) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of the frames that count, and means to log."""
        masked = self.prepare(batch, generator)
        return self.partial_loss(masked, self.totals(masked))

    def losses(
        self, batch: PretextBatch, draws: MaskDraws, block_frames: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `forward`, without augmentation, and with the random numbers of the mask given."""
        masked = MaskedBatch(examples=batch, draws=draws, block_frames=block_frames)
        return self.partial_loss(masked, self.totals(masked))

    @torch.no_grad()
    def prepare(self, batch: PretextBatch, generator: Random) -> MaskedBatch:
        """Augment a batch, and draw what is masked of it."""
        if self.settings.augment != AugmentSettings():
            batch = self._augmented(batch, generator)
        mask = self.settings.mask
        clips, frames = batch.posteriors.shape[:2]
        block_frames = mask.block_frames(self.model.backbone.encoder.hop_s)
        draws = draw(clips, frames, block_frames, generator, whole_blocks=mask.one_more_block)
        return MaskedBatch(
            examples=batch, draws=draws.to(batch.inputs.device), block_frames=block_frames
        )

    def totals(self, masked: MaskedBatch) -> dict[str, Tensor]:
        """What the means are over: the weights of frames, and clips."""
        weights = self._frame_weights(masked, masked.mask(self.settings.mask))
        return {
            "frames": weights.sum(),
            "clips": torch.tensor(len(weights), device=weights.device),
        }

    def partial_loss(
        self, masked: MaskedBatch, totals: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What a part of a batch adds to the batch's loss, and to the means to log."""
        batch, settings = masked.examples, self.settings
        projected, clip = self.model.backbone.embed_with_clip(batch.inputs)
        mask = masked.mask(settings.mask)
        filled = apply_mask(projected, mask, self.model.mask_token, masked.draws, settings.mask)
        output = self.model.predict(filled, batch.padding)
        branch = branch_probabilities(self.model.branch, clip)
        weights = self._frame_weights(masked, mask)
        with torch.autocast(output.device.type, enabled=False):
            objective = PRETEXTS[settings.objective]
            losses = objective(output.float(), self.means, batch.posteriors, settings.temperature)
            loss = mean_over(losses, weights, totals["frames"])
            logs = self._logs(output.float(), batch.posteriors, weights, totals["frames"])
            if branch is not None and settings.clip_weight > 0:
                labels = clip_labels(batch.posteriors, batch.padding)
                clips = clip_bce(branch, labels)
                clip_loss = clips.sum() / totals["clips"]
                logs |= {"masked": loss.detach(), "clip": clip_loss.detach()}
                loss = loss + settings.clip_weight * clip_loss
        return loss, logs

    def _frame_weights(self, masked: MaskedBatch, mask: Tensor) -> Tensor:
        # Without masking every frame counts: the model then copies what it is shown.
        unmasked = self.settings.unmasked_weight if self.settings.mask.rate > 0 else 1.0
        return frame_weights(mask, masked.examples.padding, unmasked)

    def _augmented(self, batch: PretextBatch, generator: Random) -> PretextBatch:
        examples = InputBatch(
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
    def _logs(
        self, output: Tensor, posteriors: Tensor, weights: Tensor, total: Tensor
    ) -> dict[str, Tensor]:
        logits = prototype_logits(output, self.means, self.settings.temperature)
        agrees = (logits.argmax(dim=-1) == posteriors.argmax(dim=-1)).float()
        terms = health_terms(logits, posteriors, weights, total)
        return {"accuracy": mean_over(agrees, weights, total), **terms}
