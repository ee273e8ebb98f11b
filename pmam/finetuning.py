"""Mean-teacher fine-tuning on strong, weak and unlabelled clips (arXiv 1703.01780, 2409.17656)."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.detector import Detection, Detector
from pmam.pretext.prototype_bce import mean_over
from pmam.schedules import sigmoid_ramp
from pmam.teacher import make_teacher


@dataclass(frozen=True, kw_only=True)
class FinetuneLossSettings:
    """The weights of the losses."""

    # Of the clip loss, beside the frame loss.
    weak_weight: float = 0.5
    # 0 switches the teacher's consistency loss off.
    consistency_weight: float = 2.0
    consistency_ramp_steps: int = 100
    # Beta distribution of the mixing coefficient; None switches mixup off (arXiv 1710.09412).
    mixup_beta: float | None = None


@dataclass(frozen=True, kw_only=True)
class LabelledBatch:
    """Clips of all subsets together; a mask says which labels a clip has."""

    inputs: Tensor  # (B, input frames, channels), calibrated
    padding: Tensor  # (B, T), true on frames that hold no audio
    events: Tensor  # (B, T, classes), 0 where unknown
    tags: Tensor  # (B, classes), 0 where unknown
    has_events: Tensor  # (B,) bool
    has_tags: Tensor  # (B,) bool


def bce(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy without reduction, finite at 0 and 1."""
    return nn.functional.binary_cross_entropy(probabilities, targets, reduction="none")


def supervised_losses(said: Detection, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
    """Mean frame loss of strongly labelled clips and mean clip loss of weakly labelled ones."""
    paying = batch.has_events[:, None] & ~batch.padding  # (B, T)
    strong = mean_over(bce(said.frames, batch.events).mean(dim=-1), paying)
    weak = mean_over(bce(said.clips, batch.tags).mean(dim=-1)[None], batch.has_tags[None])
    return strong, weak


def consistency_losses(
    said: Detection, taught: Detection, padding: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean squared distance between student and teacher, of frames and of clips."""
    frames = (said.frames - taught.frames).square().mean(dim=-1)
    return mean_over(frames, ~padding), (said.clips - taught.clips).square().mean()


def mix(batch: LabelledBatch, beta: float, generator: torch.Generator) -> LabelledBatch:
    """Mix each clip with another of the same kind of label; targets are the larger of the two."""
    coefficient = _beta(beta, generator)
    partner = torch.arange(len(batch.tags))
    kind = batch.has_events.long() * 2 + batch.has_tags.long()
    for value in range(4):
        members = (kind == value).nonzero().squeeze(1)
        partner[members] = members[torch.randperm(len(members), generator=generator)]
    return LabelledBatch(
        inputs=coefficient * batch.inputs + (1 - coefficient) * batch.inputs[partner],
        padding=batch.padding & batch.padding[partner],
        events=torch.maximum(batch.events, batch.events[partner]),
        tags=torch.maximum(batch.tags, batch.tags[partner]),
        has_events=batch.has_events,
        has_tags=batch.has_tags,
    )


def _beta(concentration: float, generator: torch.Generator) -> float:
    """A draw of Beta(c, c), at least one half so that the first clip leads."""
    seed = int(torch.randint(2**31, (), generator=generator))
    share = random.Random(seed).betavariate(concentration, concentration)
    return max(share, 1 - share)


class Finetuning(nn.Module):
    """Student and teacher with their losses; a call is one step's loss and what to log of it."""

    def __init__(self, student: Detector, settings: FinetuneLossSettings) -> None:
        super().__init__()
        self.student = student
        self.teacher = make_teacher(student)
        self.settings = settings

    def forward(
        self, batch: LabelledBatch, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and scalars to log."""
        settings = self.settings
        if settings.mixup_beta is not None:
            batch = mix(batch, settings.mixup_beta, generator)
        said = self.student(batch.inputs, batch.padding)
        strong, weak = supervised_losses(said, batch)
        loss = strong + settings.weak_weight * weak
        logs = {"strong": strong.detach(), "weak": weak.detach()}
        if settings.consistency_weight > 0:
            with torch.no_grad():
                taught = self.teacher(batch.inputs, batch.padding)
            frames, clips = consistency_losses(said, taught, batch.padding)
            ramp = sigmoid_ramp(step, settings.consistency_ramp_steps)
            loss = loss + settings.consistency_weight * ramp * (frames + 0.5 * clips)
            logs |= {"consistency": frames.detach()}
        return loss, logs
