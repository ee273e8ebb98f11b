"""Mean-teacher fine-tuning on strong, weak and unlabelled clips (arXiv 1703.01780, 2409.17656)."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pmam.augment.chain import InputBatch, InputScale, augment
from pmam.augment.settings import AugmentSettings
from pmam.models.detector import Detection, DetectorModel
from pmam.objectives.auxiliary import AuxiliaryTask
from pmam.objectives.losses.binary_cross_entropy import binary_cross_entropy
from pmam.objectives.masked_prediction import MaskedBatch, PretextBatch
from pmam.objectives.reconstruction import ReconstructionHead, reconstruction_loss
from pmam.objectives.settings import FinetuneLossSettings
from pmam.training.clip_draws import Random
from pmam.training.gradient_accumulation import mean_over, split
from pmam.training.parameter_groups import groups_of
from pmam.training.schedules import RAMPS

NO_AUGMENTATION = AugmentSettings()


@dataclass(frozen=True, kw_only=True)
class LabelledBatch:
    """Clips of all subsets together; a mask says which labels a clip has."""

    inputs: Tensor  # (B, input frames, channels), calibrated
    padding: Tensor  # (B, T), true on frames that hold no audio
    events: Tensor  # (B, T, classes), 0 where unknown
    tags: Tensor  # (B, classes), 0 where unknown
    has_events: Tensor  # (B,) bool
    has_tags: Tensor  # (B,) bool


@dataclass(frozen=True, kw_only=True)
class MeanTeacherBatch:
    """The inputs of student and teacher in a step."""

    batch: LabelledBatch
    teacher_inputs: Tensor  # (B, input frames, channels)
    step: int
    auxiliary: MaskedBatch | None = None  # the clips of the auxiliary task

    def split(self, parts: int) -> "list[MeanTeacherBatch]":
        """In parts of some clips each."""
        auxiliary = [None] * parts if self.auxiliary is None else self.auxiliary.split(parts)
        return [
            replace(
                self,
                batch=batch,
                teacher_inputs=self.teacher_inputs[number::parts],
                auxiliary=auxiliary[number],
            )
            for number, batch in enumerate(split(self.batch, parts))
        ]


def counts(batch: LabelledBatch) -> dict[str, Tensor]:
    """What the mean losses are over: frames with events, clips with tags, all frames and clips."""
    held = ~batch.padding
    return {
        "strong": (held & batch.has_events[:, None]).sum(),
        "weak": batch.has_tags.sum(),
        "frames": held.sum(),
        "clips": torch.full_like(batch.has_tags, True).sum(),
    }


def strong_loss(frames: Tensor, batch: LabelledBatch, total: Tensor) -> Tensor:
    """Mean loss of frame probabilities `(B, T, classes)` of strongly labelled clips."""
    loss_mask = batch.has_events[:, None] & ~batch.padding  # (B, T)
    return mean_over(binary_cross_entropy(frames, batch.events).mean(dim=-1), loss_mask, total)


def clip_loss(clips: Tensor, batch: LabelledBatch, total: Tensor) -> Tensor:
    """Mean loss of clip probabilities `(B, classes)` of weakly labelled clips."""
    return mean_over(binary_cross_entropy(clips, batch.tags).mean(dim=-1), batch.has_tags, total)


def consistency(
    student: Detection,
    teacher: Detection,
    padding: Tensor,
    settings: FinetuneLossSettings,
    totals: Mapping[str, Tensor],
) -> tuple[Tensor, Tensor]:
    """The whole consistency loss without its weight, and the part of frames."""

    def of_clips(predicted: Tensor, target: Tensor) -> Tensor:
        return (predicted - target).square().mean(dim=-1).sum() / totals["clips"]

    target = teacher.clips
    if settings.consistency_clips_from == "branch" and student.branch is not None:
        target = teacher.clips if teacher.branch is None else teacher.branch
    distances = (student.frames - teacher.frames).square().mean(dim=-1)
    frames = mean_over(distances, ~padding, totals["frames"])
    loss = frames + settings.consistency_weak_weight * of_clips(student.clips, target)
    if student.branch is not None and teacher.branch is not None:
        branch = of_clips(student.branch, teacher.branch)
        loss = loss + settings.consistency_branch_weight * branch
    return loss, frames


def augmented(
    batch: LabelledBatch,
    settings: AugmentSettings,
    scale: InputScale,
    generator: Random,
) -> tuple[LabelledBatch, Tensor]:
    """The student's batch and the teacher's inputs.

    Only clips with the same kind of label are mixed, and those without any never.
    """
    labelled = batch.has_events | batch.has_tags
    kind = batch.has_events.long() * 2 + batch.has_tags.long()
    examples = InputBatch(
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
        student: DetectorModel,
        settings: FinetuneLossSettings,
        augmentation: AugmentSettings = NO_AUGMENTATION,
        auxiliary: AuxiliaryTask | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.teacher = copy.deepcopy(student).requires_grad_(False)
        self.teacher.teaches = True
        self.settings = settings
        self.augmentation = augmentation
        self.auxiliary = auxiliary
        self.reconstruction: ReconstructionHead | None = None
        if settings.reconstruction_weight > 0:
            self.reconstruction = ReconstructionHead(student.backbone)
        # What the optimizer does not choose, by the beginning of parameters' names.
        self.own_rates = {} if auxiliary is None else {"auxiliary.": auxiliary.settings.head_lr}
        if settings.trained == "heads":
            groups = groups_of(student)
            for name, parameter in student.named_parameters():
                parameter.requires_grad_(parameter.requires_grad and groups[name] == "head")

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
        self, batch: LabelledBatch, step: int, generator: Random
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and means to log."""
        prepared = self.prepare(batch, step, generator)
        return self.partial_loss(prepared, self.totals(prepared))

    @torch.no_grad()
    def prepare(
        self,
        batch: LabelledBatch,
        step: int,
        generator: Random,
        unlabelled: PretextBatch | None = None,
        generator_of_unlabelled: Random | None = None,
    ) -> MeanTeacherBatch:
        """Augment a batch, differently for student and teacher, and mask what has no labels.

        Args:
            batch: clips that the detector hears.
            step: of the training.
            generator: of the numbers.
            unlabelled: clips of the auxiliary task, which hears them as they are.
            generator_of_unlabelled: of their masks.
        """
        masked = None
        if self.auxiliary is not None and unlabelled is not None:
            hop_s = self.student.backbone.encoder.hop_s
            drawn_by = generator_of_unlabelled or generator
            masked = self.auxiliary.prepare(unlabelled, hop_s, drawn_by)
        teacher_inputs = batch.inputs
        if self.augmentation != NO_AUGMENTATION:
            scale = self.student.backbone.encoder.input_scale()
            batch, teacher_inputs = augmented(batch, self.augmentation, scale, generator)
        return MeanTeacherBatch(
            batch=batch, teacher_inputs=teacher_inputs, step=step, auxiliary=masked
        )

    def totals(self, step_batch: MeanTeacherBatch) -> dict[str, Tensor]:
        """See `counts`; with the masked frames of the auxiliary task."""
        found = counts(step_batch.batch)
        if self.auxiliary is not None:
            masked = step_batch.auxiliary
            none = found["frames"].new_zeros((), dtype=torch.float)
            found |= {"auxiliary": none} if masked is None else self.auxiliary.totals(masked)
        return found

    def partial_loss(
        self, step_batch: MeanTeacherBatch, totals: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What a part of a batch adds to the batch's loss, and to the means to log."""
        settings, batch = self.settings, step_batch.batch
        student, teacher = self.student(batch.inputs, batch.padding), None
        if settings.consistency_weight > 0:
            with torch.no_grad():
                teacher = self.teacher(step_batch.teacher_inputs, batch.padding)
        with torch.autocast(batch.inputs.device.type, enabled=False):
            strong = strong_loss(student.frames, batch, totals["strong"])
            weak = clip_loss(student.clips, batch, totals["weak"])
            loss = strong + settings.weak_weight * weak
            logs = {"strong": strong.detach(), "weak": weak.detach()}
            if student.branch is not None:
                branch = clip_loss(student.branch, batch, totals["weak"])
                loss = loss + settings.branch_weight * branch
                logs |= {"branch": branch.detach()}
            if teacher is not None:
                distance, frames = consistency(student, teacher, batch.padding, settings, totals)
                ramp = RAMPS[settings.consistency_ramp](
                    step_batch.step, settings.consistency_ramp_steps
                )
                loss = loss + settings.consistency_weight * ramp * distance
                logs |= {"consistency": frames.detach()}
            if self.reconstruction is not None:
                assert student.context is not None
                inputs = self.student.backbone.encoder.pooled_inputs(batch.inputs)
                output = self.reconstruction(student.context.float())
                told = reconstruction_loss(output, inputs, batch.padding, totals["frames"])
                loss = loss + settings.reconstruction_weight * told
                logs |= {"reconstruction": told.detach()}
        if self.auxiliary is not None:
            masked = step_batch.auxiliary
            told = loss.new_zeros(())
            if masked is not None:
                told = self.auxiliary.partial_loss(self.student.backbone, masked, totals)
                loss = loss + self.auxiliary.settings.weight * told
            logs |= {"prototypes": told.detach()}
        return loss, logs
