"""Trainings by the product's stages, each done once, and what they are worth.

Each finished piece is a folder named by all that it depends on; what was killed goes on from its
last finished piece.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from low_label import presets
from low_label.controls import ShuffleSettings, centred, shuffled
from low_label.data import Data
from low_label.places import Places
from low_label.recipes import Arm, Recipe
from low_label.scoring import Run, evaluate, label_sets, resampled
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from pipelines.inference.layers import load_detector
from pipelines.runtime.declared import told_only
from pipelines.runtime.files.urls import join, read_checkpoint, read_prototypes
from pipelines.runtime.stage import record_of
from pipelines.stages import finetune as finetuning
from pipelines.stages import pretrain as pretraining
from pipelines.stages.embed import embed
from pipelines.stages.fit.stage import fit
from pipelines.stages.label import label
from pipelines.stages.settings import (
    EmbedSettings,
    FinetuneSettings,
    LabelSettings,
)
from pipelines.training.settings import TrainSettings
from pmam.models.backbone import Backbone
from pmam.models.checkpoint import unpack
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.start import start_backbone
from shards.index import IndexRow

DRAWS = 100
LARGEST = 60  # strong clips that one seed has; smaller budgets are disjoint parts of them
UNLABELLED = ("unlabeled",)


@dataclass(frozen=True)
class Workbench:
    """Makes or reads pieces of work on one set of data.

    `most_steps` cuts trainings and fits short, to see that all works.
    """

    data: Data
    places: Places
    most_steps: int | None = None

    def start(self, seed: int) -> Backbone:
        """The backbone that pretraining of a seed begins with."""
        torch.manual_seed(seed)
        encoder = unpack(read_checkpoint(self.data.encoder), self.data.encoder)
        return start_backbone(encoder, presets.CONTEXT, self.data.encoder)

    def source(self, recipe: Recipe, seed: int) -> str:
        """The checkpoint whose features the prototypes of a recipe are fitted to."""
        return self.data.encoder if recipe.before is None else self.pretrained(recipe.before, seed)

    def prototypes(self, recipe: Recipe, seed: int) -> str:
        """Fitted to the training frames."""
        source, inputs = self.source(recipe, seed), self.data.inputs
        chosen = EmbedSettings(
            layer=recipe.layer, keep_every=recipe.keep_every, subsets=UNLABELLED, seed=seed
        )
        frames = embed(
            self.data.unlabelled,
            settings=chosen,
            model=source,
            cached_inputs=inputs,
            **self.places.at("embed", chosen, source, inputs),
        )
        most = min(recipe.fit.iterations, self.most_steps or recipe.fit.iterations)
        settings = replace(recipe.fit, seed=seed, iterations=most)
        place = self.places.at("fit", settings, frames)
        return fit(self.data.unlabelled, frames, settings=settings, **place)

    def labels(self, recipe: Recipe, seed: int) -> str:
        """Pseudo labels of all training clips."""
        source, prototypes = self.source(recipe, seed), self.prototypes(recipe, seed)
        settings = LabelSettings(layer=recipe.layer, subsets=UNLABELLED)
        found = label(
            self.data.unlabelled,
            settings=settings,
            checkpoint=source,
            prototypes=prototypes,
            cached_inputs=self.data.inputs,
            **self.places.at("label", settings, source, prototypes),
        )
        if not recipe.shuffled:
            return found
        order = ShuffleSettings(seed=seed)
        return shuffled(found, settings=order, **self.places.at("shuffled", order, found))

    def pretrained(self, recipe: Recipe, seed: int) -> str:
        """The checkpoint that a recipe ends with."""
        means = self.prototypes(recipe, seed)
        if recipe.centred:
            means = centred(means, **self.places.at("centred", means))
        labels = self.labels(recipe, seed)
        start = self.source(recipe, seed) if recipe.goes_on else self.data.encoder
        training = self._training(recipe.pretrain.training, seed)
        settings = replace(recipe.pretrain, training=training)
        stage = pretraining.pretrain(
            self.data.unlabelled,
            settings=settings,
            posteriors=labels,
            prototypes=means,
            start=start,
            cached_inputs=self.data.inputs,
            **self.places.at("pretrain", settings, labels, means, start),
        )
        return join(stage, pretraining.CHECKPOINT)

    def backbone(self, recipe: Recipe, seed: int) -> Backbone:
        """Pretrained by a recipe."""
        url = self.pretrained(recipe, seed)
        model = unpack(read_checkpoint(url), url)
        assert isinstance(model, MaskedAudioModel)
        return model.backbone.eval()

    @torch.inference_mode()
    def posteriors(self, recipe: Recipe, seed: int, inputs: Tensor) -> Tensor:
        """Pseudo labels `(N, T, K)` of other clips."""
        if recipe.before is not None:
            body = self.backbone(recipe.before, seed)
            inputs = torch.cat([body.layer(part, recipe.layer) for part in inputs.split(64)])
        found = read_prototypes(self.prototypes(recipe, seed)).posteriors(inputs)
        if recipe.shuffled:
            rows = found.flatten(0, 1)
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
            found = rows[order].view_as(found)
        return found

    def nmi(self, recipe: Recipe, seed: int, subset: str) -> float:
        """Of the likeliest prototype and the set of true labels, over active frames."""

        def work() -> dict[str, Any]:
            clips = self.data.clips[subset]
            truth = label_sets(clips.targets)
            chosen = self.posteriors(recipe, seed, clips.inputs).argmax(dim=-1).numpy()
            active = truth > 0
            return {"nmi": float(normalized_mutual_info_score(truth[active], chosen[active]))}

        with told_only():
            labels = self.labels(recipe, seed)
        return float(_kept(self.places.file("nmi", labels, subset), work)["nmi"])

    def subset(self, strong: int, part: int, seed: int) -> tuple[list[IndexRow], list[IndexRow]]:
        """Clips of a pairing: strong ones, and the other labelled ones as weak."""
        pool = [*self.data.clips["strong"].rows, *self.data.clips["weak"].rows]
        first = (LARGEST * seed + strong * part) % len(pool)
        chosen = [(first + n) % len(pool) for n in range(strong)]
        others = sorted(set(range(len(pool))) - set(chosen))
        return [pool[n] for n in chosen], [pool[n] for n in others]

    def tuned(
        self,
        recipe: Recipe | None,
        settings: FinetuneSettings,
        strong: Sequence[IndexRow],
        weak: Sequence[IndexRow],
        seed: tuple[int, int],
    ) -> str:
        """The stage that fine-tunes a detector on some labels; seeds of pretraining and of it."""
        start = self.data.encoder if recipe is None else self.pretrained(recipe, seed[0])
        dataset = self.data.labelled(self.places, strong, weak)
        training = self._training(settings.training, seed[1])
        settings = replace(settings, training=training)
        predicted: dict[str, str] = {}
        if settings.auxiliary.weight > 0:
            of = Recipe() if recipe is None else recipe
            predicted["posteriors"] = self.labels(of, seed[0])
            predicted["prototypes"] = self.prototypes(of, seed[0])
        return finetuning.finetune(
            dataset,
            settings=settings,
            start=start,
            cached_inputs=self.data.inputs,
            **predicted,
            **self.places.at("finetune", settings, dataset, start, *predicted.values()),
        )

    def run_of(self, tuned: str) -> Run:
        """A fine-tuned detector on the test clips."""
        return evaluate(load_detector(join(tuned, finetuning.CHECKPOINT)), self.data)

    def tested(self, arm: Arm, strong: int, part: int, seed: int) -> dict[str, Any]:
        """Numbers on test clips, and on resamples of them."""

        def work() -> dict[str, Any]:
            run = self.run_of(self._tuned(arm, strong, part, seed))
            return {
                "numbers": dict(run.numbers),
                "validation_ap": run.validation_ap,
                "widths_s": list(run.widths_s),
                "resampled": resampled(run, self.data, DRAWS),
            }

        return _kept(self._result(arm, strong, part, seed), work)

    def has_tested(self, arm: Arm, strong: int, part: int, seed: int) -> bool:
        """Whether `tested` would train nothing."""
        return self._result(arm, strong, part, seed).exists()

    def validated(self, arm: Arm, strong: int, part: int, seed: int) -> float:
        """Frame AP on validation clips, of the better of student and teacher."""
        result = record_of(self._tuned(arm, strong, part, seed))["result"]
        return float(result["validation"][f"{result['chosen']}_frame_ap"])

    def _tuned(self, arm: Arm, strong: int, part: int, seed: int) -> str:
        clips = self.subset(strong, part, seed)
        return self.tuned(arm.recipe, arm.finetune[strong], *clips, (seed, 100 * seed + part))

    def _result(self, arm: Arm, strong: int, part: int, seed: int) -> Path:
        with told_only():  # nothing is trained for the name
            return self.places.file("test", self._tuned(arm, strong, part, seed), DRAWS, "sources")

    def _training(self, training: TrainSettings, seed: int) -> TrainSettings:
        """In this process, with one state at the end: a training takes seconds."""
        steps = min(training.optimizer.steps, self.most_steps or training.optimizer.steps)
        return replace(
            training,
            optimizer=replace(training.optimizer, steps=steps),
            crop_s=min(training.crop_s, self.data.duration_s),
            checkpoint_every=steps,
            seed=seed,
        )


def _kept(path: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A result, computed once."""
    if not path.exists():
        start_s = time.process_time()
        made = work()
        made["processor_s"] = time.process_time() - start_s
        temporary = path.with_suffix(f".{time.time_ns()}.part")
        temporary.write_text(json.dumps(made))
        temporary.replace(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found
