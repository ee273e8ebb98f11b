"""Mean-teacher fine-tuning on strong, weak and unlabelled clips (arXiv 1703.01780, 2409.17656)."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from pmam.augment import AugmentSettings, Examples, InputScale, augment
from pmam.detector import Detection, Detector
from pmam.parameter_groups import group_of
from pmam.pretext.prototype_bce import mean_over
from pmam.schedules import RAMPS
from pmam.teacher import make_teacher

NO_AUGMENTATION = AugmentSettings()


@dataclass(frozen=True, kw_only=True)
class FinetuneLossSettings:
    """The weights of the losses, and what they train.

    PMAM's two stages are two of these: first `trained="heads"` with a consistency weight of 2 and
    a linear ramp, then all with a weight of 40 and a sigmoid ramp.
    """

    # Of the clip loss, beside the frame loss.
    weak_weight: float = 0.5
    # Of the loss of the clip branch, where the detector has one.
    branch_weight: float = 2.0
    # 0 switches the teacher's consistency loss off.
    consistency_weight: float = 2.0
    # Of the distance of clips, beside that of frames.
    consistency_weak_weight: float = 0.5
    # Of the distance of clip branches.
    consistency_branch_weight: float = 2.0
    # Steps in which the consistency loss comes in, and how.
    consistency_ramp_steps: int = 100
    consistency_ramp: Literal["exponential", "linear", "sigmoid"] = "exponential"
    # What of the teacher the student's clip output follows; PMAM's code takes the clip branch.
    consistency_clips_from: Literal["clips", "branch"] = "clips"
    # Everything, or only the heads of `pmam.parameter_groups`.
    trained: Literal["all", "heads"] = "all"


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
    """Binary cross-entropy without reduction, finite at 0 and 1, NaN at NaN."""
    # torch refuses NaN in words of its own; on a GPU it takes the whole process down.
    broken = probabilities.isnan()
    losses = nn.functional.binary_cross_entropy(
        probabilities.masked_fill(broken, 0.0), targets, reduction="none"
    )
    return torch.where(broken, probabilities, losses)  # its gradient is NaN too: all workers stop


def supervised_losses(said: Detection, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
    """Mean frame loss of strongly labelled clips and mean clip loss of weakly labelled ones."""
    paying = batch.has_events[:, None] & ~batch.padding  # (B, T)
    strong = mean_over(bce(said.frames, batch.events).mean(dim=-1), paying)
    return strong, clip_loss(said.clips, batch)


def clip_loss(clips: Tensor, batch: LabelledBatch) -> Tensor:
    """Mean loss of clip probabilities `(B, classes)` of weakly labelled clips."""
    return mean_over(bce(clips, batch.tags).mean(dim=-1)[None], batch.has_tags[None])


def consistency_losses(
    said: Detection, taught: Detection, padding: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean squared distance between student and teacher, of frames and of clips."""
    frames = (said.frames - taught.frames).square().mean(dim=-1)
    return mean_over(frames, ~padding), (said.clips - taught.clips).square().mean()


def consistency(
    said: Detection, taught: Detection, padding: Tensor, settings: FinetuneLossSettings
) -> tuple[Tensor, Tensor]:
    """The whole consistency loss without its weight, and the part of frames."""
    both = said.branch is not None and taught.branch is not None
    if settings.consistency_clips_from == "branch" and both:
        assert taught.branch is not None
        frames, clips = consistency_losses(said, replace(taught, clips=taught.branch), padding)
    else:
        frames, clips = consistency_losses(said, taught, padding)
    loss = frames + settings.consistency_weak_weight * clips
    if said.branch is not None and taught.branch is not None:
        distance = (said.branch - taught.branch).square().mean()
        loss = loss + settings.consistency_branch_weight * distance
    return loss, frames


def augmented(
    batch: LabelledBatch,
    settings: AugmentSettings,
    scale: InputScale,
    generator: torch.Generator,
) -> tuple[LabelledBatch, Tensor]:
    """The student's batch and the teacher's inputs.

    Only clips with the same kind of label are mixed, and those without any never.
    """
    labelled = batch.has_events | batch.has_tags
    kind = batch.has_events.long() * 2 + batch.has_tags.long()
    examples = Examples(
        inputs=batch.inputs,
        padding=batch.padding,
        frames=batch.events,
        clips=batch.tags,
        kind=torch.where(labelled, kind, -1),
    )
    student, teacher = augment(examples, settings, scale, generator)
    assert student.clips is not None
    followed = replace(
        batch,
        inputs=student.inputs,
        padding=student.padding,
        events=student.frames,
        tags=student.clips,
    )
    return followed, teacher.inputs


class Finetuning(nn.Module):
    """Student and teacher with their losses; a call is one step's loss and what to log of it."""

    def __init__(
        self,
        student: Detector,
        settings: FinetuneLossSettings,
        augmentation: AugmentSettings = NO_AUGMENTATION,
    ) -> None:
        super().__init__()
        self.student = student
        self.teacher = make_teacher(student)
        self.teacher.teaches = True
        self.settings = settings
        self.augmentation = augmentation
        if settings.trained == "heads":
            for name, parameter in student.named_parameters():
                parameter.requires_grad_(parameter.requires_grad and group_of(name) == "head")

    def train(self, mode: bool = True) -> "Finetuning":
        """As every module, but the batch statistics of a frozen backbone stay as they are."""
        super().train(mode)
        if self.settings.trained == "heads":
            for model in (self.student, self.teacher):
                for module in model.backbone.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.eval()
        return self

    def forward(
        self, batch: LabelledBatch, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and scalars to log."""
        settings = self.settings
        teacher_inputs = batch.inputs
        if self.augmentation != NO_AUGMENTATION:
            scale = self.student.backbone.encoder.input_scale()
            batch, teacher_inputs = augmented(batch, self.augmentation, scale, generator)
        said = self.student(batch.inputs, batch.padding)
        strong, weak = supervised_losses(said, batch)
        loss = strong + settings.weak_weight * weak
        logs = {"strong": strong.detach(), "weak": weak.detach()}
        if said.branch is not None:
            branch = clip_loss(said.branch, batch)
            loss = loss + settings.branch_weight * branch
            logs |= {"branch": branch.detach()}
        if settings.consistency_weight > 0:
            with torch.no_grad():
                taught = self.teacher(teacher_inputs, batch.padding)
            distance, frames = consistency(said, taught, batch.padding, settings)
            ramp = RAMPS[settings.consistency_ramp](step, settings.consistency_ramp_steps)
            loss = loss + settings.consistency_weight * ramp * distance
            logs |= {"consistency": frames.detach()}
        return loss, logs
