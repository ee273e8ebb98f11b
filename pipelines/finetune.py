"""finetune: a detector from a pretrained model and few labels, with a mean teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cluster.storage import absolute
from pipelines.batches import Batches
from pipelines.examples import Example, tag_targets
from pipelines.ledger import Stage, fingerprint_of, run_stage
from pipelines.train_job import TrainSettings, run_training
from pipelines.urls import (
    dataset_fingerprint,
    open_dataset,
    read_checkpoint,
    write_checkpoint,
)
from pmam.augment import AugmentSettings
from pmam.checkpoint import pack_detector, start_backbone, unpack
from pmam.detector import ContextSettings, Detector, DetectorSettings
from pmam.finetuning import FinetuneLossSettings, Finetuning, LabelledBatch
from pmam.metrics.tagging import macro_average_precision
from pmam.schedules import ema_decay
from pmam.teacher import follow
from shards.store import Store

CHECKPOINT = "detector"
VALIDATION_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """The losses, the teacher, and how the detector is trained."""

    # Used where the start is an encoder; a pretrained model brings its own.
    context: ContextSettings = field(default_factory=ContextSettings)
    # Temperature and sliding windows of the detector.
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    # Weights of the losses.
    losses: FinetuneLossSettings = field(default_factory=FinetuneLossSettings)
    # What is done to the training clips; differently for student and teacher.
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    # Place events in frames as PMAM's code does: onsets rounded, offsets rounded up.
    published_borders: bool = False
    # Decay of the teacher's moving average, once it has run a while.
    ema_limit: float = 0.99
    # Whether it averages batch statistics too; PMAM's code lets the teacher gather its own.
    ema_statistics: bool = True
    # Steps, batches and learning rates.
    training: TrainSettings = field(default_factory=TrainSettings)


class FinetuneTask:
    """Supervised losses on labelled clips, consistency with the teacher on all."""

    def __init__(
        self, dataset: str, start: str, cached_inputs: str | None, settings: FinetuneSettings
    ) -> None:
        self.settings = settings
        training = settings.training
        torch.manual_seed(training.seed)
        packed = open_dataset(dataset)
        if not packed.manifest.classes:
            raise ValueError(f"{dataset}: no labels in it; pack it with label tables")
        backbone = start_backbone(unpack(read_checkpoint(start), start), settings.context, start)
        student = Detector(backbone, tuple(packed.manifest.classes), settings.detector)
        self.training_module = Finetuning(student, settings.losses, settings.augment)
        self.module: nn.Module = self.training_module
        self.classes = student.classes
        self.batches = Batches(
            packed,
            packed.rows,
            student.backbone.encoder,
            batch=training.batch,
            crop_s=training.crop_s,
            seed=training.seed,
            cached_inputs=cached_inputs,
            published_borders=settings.published_borders,
        )
        self.reader = self.batches.reader
        if not any(row.events or row.weak for rows in self.batches.groups.values() for row in rows):
            raise ValueError(
                f"{dataset}: no label on any clip of {', '.join(training.batch)}; "
                "fine-tuning needs some strong or weak ones"
            )
        self.validation = [row for row in packed.select(["validation"]) if row.events is not None]

    def loss(
        self, module: nn.Module, batch: list[Example], step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses of student and teacher."""
        result: tuple[Tensor, dict[str, Tensor]] = module(self._labelled(batch), step, generator)
        return result

    def _labelled(self, batch: Sequence[Example]) -> LabelledBatch:
        inputs = self.reader.inputs(batch)
        strong = [e.row.events is not None for e in batch]
        # A weak label speaks of the whole clip: a crop may not hold what it names.
        tagged = [e.row.weak is not None and e.is_whole for e in batch]
        events = [self.reader.event_targets(e, self.classes) for e in batch]
        return LabelledBatch(
            inputs=inputs,
            padding=self.reader.padding(batch).to(inputs.device),
            events=torch.from_numpy(np.stack(events)).to(inputs.device),
            tags=torch.from_numpy(np.stack([tag_targets(e.row, self.classes) for e in batch])).to(
                inputs.device
            ),
            has_events=torch.tensor(strong, device=inputs.device),
            has_tags=torch.tensor(tagged, device=inputs.device),
        )

    def after_step(self, step: int) -> None:
        """The teacher follows the student."""
        decay = ema_decay(step, self.settings.ema_limit)
        follow(
            self.training_module.teacher,
            self.training_module.student,
            decay,
            statistics=self.settings.ema_statistics,
        )

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write the better of student and teacher on validation clips."""
        models = {
            "student": self.training_module.student,
            "teacher": self.training_module.teacher,
        }
        quality = {name: self._validate(model) for name, model in models.items()}
        chosen = max(models, key=lambda name: (quality[name], name))
        checkpoint = pack_detector(models[chosen])
        write_checkpoint(folder, CHECKPOINT, checkpoint)
        return {
            "chosen": chosen,
            "validation_frame_ap": quality,
            "sha256": checkpoint.fingerprint,
        }

    @torch.inference_mode()
    def _validate(self, model: Detector) -> float:
        """Macro frame average precision on validation clips; 0 where there are none."""
        if not self.validation:
            return 0.0
        model.eval()
        scores, targets = [], []
        for start in range(0, len(self.validation), VALIDATION_BATCH):
            rows = self.validation[start : start + VALIDATION_BATCH]
            examples = [self.reader.read(row, 0) for row in rows]
            padding = self.reader.padding(examples)
            inputs = self.reader.inputs(examples)
            said = model(inputs, padding.to(inputs.device)).frames.cpu().numpy()
            truth = np.stack([self.reader.event_targets(e, self.classes) for e in examples])
            held = ~padding.numpy()
            scores.append(said[held])
            targets.append(truth[held])
        return macro_average_precision(
            np.concatenate(scores), np.concatenate(targets), self.classes
        ).value


def finetune(
    dataset_url: str,
    out: str,
    settings: FinetuneSettings,
    *,
    start: str,
    cached_inputs: str | None = None,
    name: str = "finetune",
    fresh: bool = False,
) -> str:
    """Fine-tune; returns the URL of the stage, which holds `detector.safetensors`.

    Args:
        dataset_url: the dataset.
        out: the folder of the detector.
        settings: losses, teacher and training.
        start: a pretrained model, or an encoder for a detector trained on labels alone.
        cached_inputs: as for `embed`.
        name: of the stage.
        fresh: start over.
    """
    dataset_url, out = absolute(dataset_url), absolute(out)
    inputs: Mapping[str, str] = {
        "dataset": dataset_fingerprint(dataset_url),
        "start": read_checkpoint(start).fingerprint,
        **({"cached_inputs": fingerprint_of(cached_inputs)} if cached_inputs else {}),
    }
    arguments = {
        "dataset": dataset_url,
        "start": absolute(start),
        "cached_inputs": None if cached_inputs is None else absolute(cached_inputs),
        "settings": settings,
    }

    def work(stage: Stage) -> dict[str, Any]:
        return run_training(stage, FinetuneTask, arguments, settings.training)

    run_stage(name, out, work, settings=settings, inputs=inputs, fresh=fresh)
    return out


def labels_alone(settings: FinetuneSettings) -> FinetuneSettings:
    """The same training without unlabelled clips and without a teacher's consistency loss."""
    batch = {name: size for name, size in settings.training.batch.items() if name != "unlabeled"}
    return replace(
        settings,
        losses=replace(settings.losses, consistency_weight=0.0),
        training=replace(settings.training, batch=batch),
    )
