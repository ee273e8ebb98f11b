"""finetune: a detector from a pretrained model and few labels, with a mean teacher."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pipelines.runtime.declared import (
    CheckpointUrl,
    DatasetUrl,
    PrototypesUrl,
    StageUrl,
    Work,
    stage_function,
)
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import (
    open_dataset,
    read_checkpoint,
    read_prototypes,
    write_checkpoint,
)
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.examples import TrainingClips, tag_targets
from pipelines.training.job import run_training
from pipelines.training.prototype_targets import PrototypeTargets
from pipelines.training.recorder import WORKING
from pipelines.training.validation import ValidationScores, validation_scores
from pmam.events.settings import PostprocessSettings
from pmam.metrics.postprocess_choice import BOX_GRID, chosen_postprocess
from pmam.models.checkpoint import pack_detector, unpack
from pmam.models.detector import DetectorModel
from pmam.models.start import start_detector
from pmam.objectives.auxiliary import AuxiliaryTask
from pmam.objectives.following import Following
from pmam.objectives.mean_teacher import (
    Finetuning,
    LabelledBatch,
    MeanTeacherBatch,
)
from pmam.objectives.settings import AuxiliarySettings
from pmam.settings import to_json
from pmam.training.clip_draws import ClipDraws
from pmam.training.schedules import ema_decay
from pmam.training.settings import Plateau
from shards.io.store import Store
from shards.loading.examples import Example

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 3

CHECKPOINT = "detector"
log = logging.getLogger("pmam")


class FinetuneTask:
    """Supervised losses on labelled clips, consistency with the teacher on all."""

    plateau: Plateau | None = None

    def __init__(
        self,
        dataset: str,
        start: str,
        cached_inputs: str | None,
        settings: FinetuneSettings,
        posteriors: str | None = None,
        prototypes: str | None = None,
    ) -> None:
        self.settings = settings
        self.following: Following | None = None  # when both are where they stay
        training = settings.training
        torch.manual_seed(training.seed)
        packed = open_dataset(dataset)
        if not packed.manifest.classes:
            raise PipelineError(f"{dataset}: no labels in it; pack it with label tables")
        model = unpack(read_checkpoint(start), start)
        classes = tuple(packed.manifest.classes)
        settings.postprocess.check(classes)  # now, not when the training is done
        student = start_detector(model, settings.context, classes, settings.detector, start)
        self.prototypes: PrototypeTargets | None = None
        task = None
        if settings.auxiliary.weight > 0:
            assert posteriors is not None and prototypes is not None  # checked before
            means = read_prototypes(prototypes).means_in_feature_space()
            self.prototypes = PrototypeTargets(posteriors, prototypes, len(means), student.backbone)
            settings.auxiliary.mask.check(training.crop_s, student.backbone.encoder.hop_s)
            task = AuxiliaryTask(student.backbone.settings.context.width, means, settings.auxiliary)
        self.module = Finetuning(student, settings.losses, settings.augment, task)
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
            raise PipelineError(
                f"{dataset}: no label on any clip of {', '.join(training.batch)}; "
                "fine-tuning needs some strong or weak ones"
            )
        self.validation = [
            index
            for index in np.flatnonzero(packed.columns.of_subset("validation")).tolist()
            if packed.row(index).events is not None
        ]

    def prepare(self, batch: list[Example], step: int, random: ClipDraws) -> MeanTeacherBatch:
        """Tensors of some clips, as student and teacher hear them."""
        if self.prototypes is None:
            return self.module.prepare(self._labelled(batch), step, random)
        which = [n for n, e in enumerate(batch) if e.row.events is None and e.row.weak is None]
        unlabelled = None
        if which:
            unlabelled = self.prototypes.batch([batch[n] for n in which], self.examples)
        heard = list(range(len(batch)))
        if self.settings.losses.consistency_weight == 0:
            # No loss of the detector speaks of the others.
            heard = sorted(set(heard) - set(which)) or heard
        labelled = self._labelled([batch[n] for n in heard])
        return self.module.prepare(labelled, step, random.of(heard), unlabelled, random.of(which))

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
        if self.following is None:
            self.following = Following(
                self.module.teacher, self.module.student, statistics=self.settings.ema_statistics
            )
        self.following(ema_decay(step, self.settings.ema_limit))

    def watch(self, step: int, values: dict[str, float]) -> dict[str, float]:
        """Nothing follows from the losses."""
        return {}

    def validate(self, step: int) -> dict[str, float]:
        """Student and teacher on validation clips, every so many steps."""
        every = self.settings.validate_every
        if not self.validation or every == 0 or step % every:
            return {}
        found = self._numbers(self._scores())
        self.module.train()
        said = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        log.info("step %d: on validation clips %s", step, said)
        return {f"validation/{name}": value for name, value in found.items()}

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write the better of student and teacher, with post-processing that suits it."""
        scores = self._scores()
        found = self._numbers(scores)
        chosen = max(self._models, key=lambda name: (found.get(f"{name}_frame_ap", 0.0), name))
        model = self._models[chosen]
        model.postprocess = self._postprocess(scores[chosen])
        checkpoint = pack_detector(model)
        write_checkpoint(folder, CHECKPOINT, checkpoint)
        return {
            "steps": self.settings.training.optimizer.steps,
            "clips": self.clips.count,
            "chosen": chosen,
            "validation": found,
            "postprocess": to_json(model.postprocess),
            "sha256": checkpoint.fingerprint,
        }

    def _postprocess(self, scores: ValidationScores) -> PostprocessSettings:
        """What the detector gets, and says it."""
        settings = self.settings
        if not scores.has_events:
            log.warning(
                "no events in strongly labelled validation clips: nothing to choose "
                "post-processing by; the detector gets %s",
                settings.postprocess.in_words,
            )
            return settings.postprocess
        found = chosen_postprocess(
            scores.processed,
            settings.postprocess,
            medians_s=settings.median_choices_s,
            thresholds=settings.choose_thresholds,
            metric=settings.choose_by,
            by_class=settings.choose_by_class,
            boxes=BOX_GRID if settings.choose_boxes else (),
        )
        log.info("post-processing of the detector: %s", found.in_words)
        return found

    @property
    def _models(self) -> dict[str, DetectorModel]:
        return {"student": self.module.student, "teacher": self.module.teacher}

    def _scores(self) -> dict[str, ValidationScores]:
        return {
            name: validation_scores(model, self.examples, self.validation)
            for name, model in self._models.items()
        }

    def _numbers(self, scores: dict[str, ValidationScores]) -> dict[str, float]:
        return {
            f"{name}_{metric}": value
            for name, of_model in scores.items()
            for metric, value in of_model.numbers(self.settings.postprocess).items()
        }


@stage_function(ALGORITHM_VERSION)
def finetune(
    dataset: DatasetUrl,
    out: str,
    settings: FinetuneSettings,
    *,
    start: CheckpointUrl,
    cached_inputs: StageUrl | None = None,
    posteriors: StageUrl | None = None,
    prototypes: PrototypesUrl | None = None,
    name: str = "finetune",
    fresh: bool = False,
) -> Work:
    """Fine-tune; returns the URL of the stage, which holds `detector.safetensors`.

    Args:
        dataset: the dataset.
        out: the folder of the detector.
        settings: losses, teacher and training.
        start: a pretrained model, a detector that goes on, or an encoder for a detector trained
            on labels alone.
        cached_inputs: as for `embed`.
        posteriors: URL of the labels that the auxiliary loss predicts.
        prototypes: URL of the fit that they are of.
        name: of the stage.
        fresh: start over.
    """
    if (settings.auxiliary.weight > 0) != (posteriors is not None and prototypes is not None):
        raise PipelineError(
            f"auxiliary.weight {settings.auxiliary.weight:g}, posteriors {posteriors}, prototypes "
            f"{prototypes}: expected both of them where the weight is above 0, and none where it "
            "is 0"
        )
    arguments = {
        "dataset": dataset,
        "start": start,
        "cached_inputs": cached_inputs,
        "settings": settings,
        "posteriors": posteriors,
        "prototypes": prototypes,
    }

    def work(stage: Stage) -> dict[str, Any]:
        return run_training(stage, FinetuneTask, arguments, settings.training)

    return Work(do=work, settings=settings.identity, summary=_summary, working=WORKING)


def labels_alone(settings: FinetuneSettings) -> FinetuneSettings:
    """The same training without unlabelled clips, a teacher's consistency loss or prototypes."""
    batch = {name: size for name, size in settings.training.batch.items() if name != "unlabeled"}
    return replace(
        settings,
        losses=replace(settings.losses, consistency_weight=0.0),
        auxiliary=AuxiliarySettings(),
        training=replace(settings.training, batch=batch),
    )


def _summary(result: Mapping[str, Any]) -> str:
    steps, clips = counted(result["steps"], "step"), counted(result["clips"], "clip")
    chosen = result["chosen"]
    value = result["validation"].get(f"{chosen}_frame_ap")
    kept = "" if value is None else f", kept the {chosen} (validation frame AP {value:.3f}),"
    return f"fine-tuned {steps} on {clips}{kept}"
