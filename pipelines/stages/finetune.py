"""finetune: a detector from a pretrained model and few labels, with a mean teacher."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from cluster.storage.filesystems import absolute
from pipelines.runtime.identity import at_defaults
from pipelines.runtime.stage import Stage, fingerprint_of, run_stage
from pipelines.runtime.urls import (
    dataset_fingerprint,
    open_dataset,
    read_checkpoint,
    write_checkpoint,
)
from pipelines.training.examples import TrainingClips, tag_targets
from pipelines.training.job import TrainSettings, run_training
from pipelines.training.validation import validated
from pmam.augment import AugmentSettings
from pmam.models.checkpoint import pack_detector, start_detector, unpack
from pmam.models.detector import ContextSettings, Detector, DetectorSettings
from pmam.objectives.mean_teacher import (
    FinetuneLossSettings,
    Finetuning,
    LabelledBatch,
    TaughtBatch,
)
from pmam.objectives.teacher import follow
from pmam.training.clip_draws import Random
from pmam.training.schedules import ema_decay
from shards.io.store import Store
from shards.loading.examples import Example

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 2

CHECKPOINT = "detector"
log = logging.getLogger("pmam")


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
    # Steps from one look at the validation clips to the next; 0: at the end alone.
    validate_every: int = 100
    # Steps, batches and learning rates.
    training: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.ema_limit <= 1 or self.validate_every < 0:
            raise ValueError(
                f"ema_limit {self.ema_limit}, validate_every {self.validate_every}: expected a "
                "decay between 0 and 1, and 0 or more steps"
            )

    @property
    def identity(self) -> "FinetuneSettings":
        """The same without what only says how it is computed and watched."""
        return at_defaults(replace(self, training=self.training.identity), "validate_every")


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
        model = unpack(read_checkpoint(start), start)
        classes = tuple(packed.manifest.classes)
        student = start_detector(model, settings.context, classes, settings.detector, start)
        self.module = Finetuning(student, settings.losses, settings.augment)
        self.classes = student.classes
        self.clips = TrainingClips(
            packed,
            student.backbone.encoder,
            batch=training.batch,
            crop_s=training.crop_s,
            seed=training.seed,
            stored_inputs=cached_inputs,
            cache_gb=training.cache_gb,
            published_borders=settings.published_borders,
        )
        self.examples = self.clips.examples
        if not self.clips.labelled:
            raise ValueError(
                f"{dataset}: no label on any clip of {', '.join(training.batch)}; "
                "fine-tuning needs some strong or weak ones"
            )
        self.validation = [
            index
            for index in np.flatnonzero(packed.columns.of_subset("validation")).tolist()
            if packed.row(index).events is not None
        ]

    def prepare(self, batch: list[Example], step: int, random: Random) -> TaughtBatch:
        """Tensors of some clips, as student and teacher hear them."""
        return self.module.prepare(self._labelled(batch), step, random)

    def _labelled(self, batch: Sequence[Example]) -> LabelledBatch:
        inputs = self.examples.inputs(batch)
        strong = [e.row.events is not None for e in batch]
        # A weak label speaks of the whole clip: a crop may not hold what it names.
        tagged = [e.row.weak is not None and e.is_whole for e in batch]
        events = [self.examples.event_targets(e, self.classes) for e in batch]
        return LabelledBatch(
            inputs=inputs,
            padding=self.examples.padding(batch).to(inputs.device),
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
        statistics = self.settings.ema_statistics
        follow(self.module.teacher, self.module.student, decay, statistics=statistics)

    def watch(self, step: int, values: dict[str, float]) -> dict[str, float]:
        """Nothing follows from the losses."""
        return {}

    def validate(self, step: int) -> dict[str, float]:
        """Student and teacher on validation clips, every so many steps."""
        every = self.settings.validate_every
        if not self.validation or every == 0 or step % every:
            return {}
        found = self._validated()
        self.module.train()
        said = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        log.info("step %d: on validation clips %s", step, said)
        return {f"validation/{name}": value for name, value in found.items()}

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write the better of student and teacher on validation clips."""
        found = self._validated()
        chosen = max(self._models, key=lambda name: (found.get(f"{name}_frame_ap", 0.0), name))
        checkpoint = pack_detector(self._models[chosen])
        write_checkpoint(folder, CHECKPOINT, checkpoint)
        return {"chosen": chosen, "validation": found, "sha256": checkpoint.fingerprint}

    @property
    def _models(self) -> dict[str, Detector]:
        return {"student": self.module.student, "teacher": self.module.teacher}

    def _validated(self) -> dict[str, float]:
        return {
            f"{name}_{metric}": value
            for name, model in self._models.items()
            for metric, value in validated(model, self.examples, self.validation).items()
        }


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
        start: a pretrained model, a detector that goes on, or an encoder for a detector trained
            on labels alone.
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

    run_stage(
        name,
        out,
        work,
        settings=settings.identity,
        inputs=inputs,
        version=ALGORITHM_VERSION,
        fresh=fresh,
    )
    return out


def labels_alone(settings: FinetuneSettings) -> FinetuneSettings:
    """The same training without unlabelled clips and without a teacher's consistency loss."""
    batch = {name: size for name, size in settings.training.batch.items() if name != "unlabeled"}
    return replace(
        settings,
        losses=replace(settings.losses, consistency_weight=0.0),
        training=replace(settings.training, batch=batch),
    )
