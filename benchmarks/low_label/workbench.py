"""Work that is done once: prototypes, pretrained backbones and results, kept in a folder.

Each finished piece is a file named by a hash of all that it depends on, written whole or not at
all; what was killed starts again from its last finished piece, and several processes can share
the folder.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from low_label import presets
from low_label.data import Clips, Data
from low_label.recipes import Arm, Recipe, key
from low_label.scoring import evaluate, evaluation_set, label_sets, resampled
from low_label.training import Finetune, finetune, fit_prototypes, new_backbone, pretrain
from safetensors.torch import load_file, save_file
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from pmam.metrics.registry import METRICS
from pmam.models.backbone import Backbone
from pmam.models.detector import Detector
from pmam.prototypes.artifact import Prototypes

DRAWS = 100
LARGEST = 60  # strong clips that one seed has; smaller budgets are disjoint parts of them


class Workbench:
    """Makes or reads pieces of work on one set of data."""

    def __init__(self, data: Data, folder: Path) -> None:
        self.data, self.folder = data, folder
        folder.mkdir(parents=True, exist_ok=True)
        labelled = [data.clips["strong"], data.clips["weak"]]
        self.pool = Clips(
            inputs=torch.cat([c.inputs for c in labelled]),
            targets=torch.cat([c.targets for c in labelled]),
            tags=torch.cat([c.tags for c in labelled]),
            events=[e for c in labelled for e in c.events],
            keys=[k for c in labelled for k in c.keys],
        )

    def start(self, seed: int) -> Backbone:
        """The backbone that every arm of a seed begins with."""
        return new_backbone(self.data, presets.CONTEXT, seed)

    def prototypes(self, recipe: Recipe, seed: int) -> Prototypes:
        """Fitted to the training frames."""
        path = self.folder / f"prototypes-{key(self.data.fingerprint, recipe.fit_key(), seed)}"
        if not (path / "prototypes.json").exists():
            frames = self.features(recipe, seed, self.data.training_inputs())
            fit_prototypes(
                frames, recipe.pretrain, recipe.kind, seed, standardise=recipe.standardise
            ).save(path)
        return Prototypes.load(path)

    @torch.inference_mode()
    def features(self, recipe: Recipe, seed: int, inputs: Tensor) -> Tensor:
        """What the prototypes of a recipe are fitted to: `(N, T, D)`."""
        if recipe.before is None:
            return inputs
        body = self.backbone(recipe.before, seed).eval()
        return torch.cat([body.layer(part, recipe.layer) for part in inputs.split(64)])

    def posteriors(self, recipe: Recipe, seed: int, inputs: Tensor) -> Tensor:
        """Pseudo labels `(N, T, K)`."""
        found = self.prototypes(recipe, seed).posteriors(self.features(recipe, seed, inputs))
        if recipe.sharpen != 1.0:
            found = found**recipe.sharpen
            found = found / found.sum(dim=-1, keepdim=True)
        if recipe.shuffled:
            rows = found.flatten(0, 1)
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
            found = rows[order].view_as(found)
        return found

    def means(self, recipe: Recipe, seed: int) -> Tensor:
        """The prototype vectors `(K, D)` that the model's output is compared with."""
        prototypes = self.prototypes(recipe, seed)
        means = prototypes.means_in_feature_space()
        if recipe.centred:
            assert prototypes.projection is not None
            means = means - prototypes.projection.mean
        return means.float()

    def backbone(self, recipe: Recipe, seed: int) -> Backbone:
        """Pretrained by a recipe."""
        body = self.start(seed)
        name = f"backbone-{key(self.data.fingerprint, asdict(recipe), seed)}.safetensors"
        path = self.folder / name
        if not path.exists():
            inputs = self.data.training_inputs()
            posteriors = self.posteriors(recipe, seed, inputs)
            if recipe.goes_on and recipe.before is not None:
                body = self.backbone(recipe.before, seed)
            means = self.means(recipe, seed)
            trained = pretrain(body, inputs, posteriors, means, recipe.pretrain, seed)
            tensors = {n: t.contiguous() for n, t in trained.state_dict().items()}
            temporary = path.with_suffix(f".{time.time_ns()}.part")
            save_file(tensors, temporary)
            temporary.replace(path)
        body.load_state_dict(load_file(path))
        return body

    def nmi(self, recipe: Recipe, seed: int, subset: str) -> float:
        """Of the likeliest prototype and the set of true labels, over active frames."""
        clips = self.data.clips[subset]
        truth = label_sets(clips.targets)
        chosen = self.posteriors(recipe, seed, clips.inputs).argmax(dim=-1).numpy()
        return float(normalized_mutual_info_score(truth[truth > 0], chosen[truth > 0]))

    def subsets(self, strong: int, part: int, seed: int) -> dict[str, Clips]:
        """Clips of a pairing: strong clips, the other labelled ones as weak, unlabelled ones."""
        first = (LARGEST * seed + strong * part) % len(self.pool)
        chosen = [(first + n) % len(self.pool) for n in range(strong)]
        others = sorted(set(range(len(self.pool))) - set(chosen))
        return {
            "strong": self.pool.take(chosen),
            "weak": self.pool.take(others),
            "unlabeled": self.data.clips["unlabeled"],
        }

    def detectors(
        self, arm: Arm, settings: Finetune, strong: int, part: int, seed: int
    ) -> tuple[Detector, Detector]:
        """Student and teacher, fine-tuned."""
        body = self.start(seed) if arm.recipe is None else self.backbone(arm.recipe, seed)
        clips = {n: c for n, c in self.subsets(strong, part, seed).items() if settings.batch.get(n)}
        return finetune(body, clips, self.data.classes, settings, 100 * seed + part)

    def tested(self, arm: Arm, strong: int, part: int, seed: int) -> dict[str, Any]:
        """Numbers on test clips, and on resamples of them."""
        settings = arm.finetune[strong]

        def work() -> dict[str, Any]:
            run = evaluate(self.detectors(arm, settings, strong, part, seed), self.data)
            return {
                "numbers": dict(run.numbers),
                "validation_ap": run.validation_ap,
                "widths_s": list(run.widths_s),
                "resampled": resampled(run, DRAWS),
            }

        return self.kept("test", work, arm, settings, strong, part, seed)

    def has_tested(self, arm: Arm, strong: int, part: int, seed: int) -> bool:
        """Whether `tested` would train nothing."""
        name = self.name(arm, arm.finetune[strong], strong, part, seed)
        return (self.folder / f"test-{name}.json").exists()

    def validated(self, arm: Arm, strong: int, part: int, seed: int) -> float:
        """Frame AP on validation clips, of the better of student and teacher."""
        settings = arm.finetune[strong]

        def work() -> dict[str, Any]:
            clips = self.data.clips["validation"]
            found = self.detectors(arm, settings, strong, part, seed)
            sets = [evaluation_set(detector, clips, self.data) for detector in found]
            return {"validation_ap": max(METRICS["frame_ap"](s).value for s in sets)}

        # What was tested was looked at on validation clips first.
        kind = "test" if self.has_tested(arm, strong, part, seed) else "validation"
        return float(self.kept(kind, work, arm, settings, strong, part, seed)["validation_ap"])

    def name(self, arm: Arm, settings: Finetune, strong: int, part: int, seed: int) -> str:
        """Of a fine-tuning: a hash of all that it depends on."""
        recipe = None if arm.recipe is None else asdict(arm.recipe)
        return key(self.data.fingerprint, recipe, asdict(settings), strong, part, seed)

    def kept_nmi(self, recipe: Recipe, seed: int, subset: str) -> float:
        """`nmi`, computed once."""
        name = key(self.data.fingerprint, asdict(recipe), seed, subset)
        return float(
            self._file(f"nmi-{name}", lambda: {"nmi": self.nmi(recipe, seed, subset)})["nmi"]
        )

    def kept(
        self,
        kind: str,
        work: Callable[[], dict[str, Any]],
        arm: Arm,
        settings: Finetune,
        strong: int,
        part: int,
        seed: int,
    ) -> dict[str, Any]:
        """The result of a fine-tuning, computed once."""
        return self._file(f"{kind}-{self.name(arm, settings, strong, part, seed)}", work)

    def _file(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        if not path.exists():
            start_s = time.process_time()
            made = work()
            made["processor_s"] = time.process_time() - start_s
            temporary = path.with_suffix(f".{time.time_ns()}.part")
            temporary.write_text(json.dumps(made))
            temporary.replace(path)
        found: dict[str, Any] = json.loads(path.read_text())
        return found
