"""One, two and three workers train alike: each step's loss, masks, augmentation and all.

The workers are taken one after the other: their gradients add up in one module, which is what
data-parallel training does (`test_data_parallel.py` proves that of processes). Dropout is left
out: it draws for a worker's batch as a whole. So are batch statistics, which are of a worker's
clips until the end of a step, and mixup, whose partners are of a worker's clips.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import packing
import pytest
import tiny_models
import torch
from torch import Tensor, nn

from pipelines.training.examples import TrainingClips, tag_targets
from pipelines.training.loop import draws_of
from pmam.augment.settings import AugmentSettings
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.settings import OptimizerSettings
from pmam.training.trainer import Share, Trainer
from shards.clip import Clip, Event
from shards.dataset import Dataset
from shards.loading.examples import Example

RATE, CROP_S, STEPS, SEED = 16000, 0.4, 50, 3
AUGMENT = AugmentSettings(
    frame_shift_s=0.1, distortion=0.02, frequency_mask_mels=4, noise_snr_db=(20.0, 30.0)
)
MASK = MaskSettings(rate=0.5, token_share=0.6, random_share=0.3)
CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("worlds")
    clips = []
    for number in range(12):
        name = f"{number}.wav"
        packing.write_noise(folder / name, seed=number, seconds=0.3 + 0.1 * (number % 4), rate=RATE)
        label = CLASSES[number % 2]
        if number % 3 == 0:  # fewer than a batch takes in two steps: they come again
            clip = Clip(source_id=name, audio=name, subset="weak", weak=(label,))
        else:
            events = (Event(0.05, 0.2, label),)
            clip = Clip(source_id=name, audio=name, subset="strong", events=events)
        clips.append(clip)
    return packing.pack(folder, clips, folder / "out")[0]


class Task:
    """What is trained, with the tensors of some examples."""

    def __init__(self, dataset: Dataset, kind: str) -> None:
        torch.manual_seed(0)
        backbone = tiny_models.backbone(replace(tiny_models.CONTEXT, dropout=0.0))
        self.clips = TrainingClips(
            dataset,
            backbone.encoder,
            batch={"strong": 6, "weak": 6},
            crop_s=CROP_S,
            seed=SEED,
            stored_inputs=None,
        )
        self.kind = kind
        if kind == "pretraining":
            model = MaskedAudioModel(backbone, prototype_width=5, prototypes=3)
            settings = PretextSettings(mask=MASK, augment=AUGMENT)
            self.module: Any = Pretraining(model, torch.randn(3, 5), settings)
        else:
            losses = FinetuneLossSettings(consistency_ramp_steps=0)
            augment = AugmentSettings(**{**vars(AUGMENT), "time_mask_s": 0.1})
            self.module = Finetuning(DetectorModel(backbone, CLASSES), losses, augment)
        self.module.train()
        for part in self.module.modules():
            if isinstance(part, nn.BatchNorm2d | nn.Dropout):
                part.eval()

    def prepare(self, batch: list[Example], step: int) -> Any:
        examples, random = self.clips.examples, draws_of(batch, step, SEED)
        inputs, padding = examples.inputs(batch), examples.padding(batch)
        if self.kind == "pretraining":
            number = torch.tensor([len(e.row.key) + e.start + e.row.crc32 for e in batch])
            frames = torch.arange(inputs.shape[1] // 4)
            waves = torch.sin(number[:, None, None] + frames[:, None] * torch.arange(1, 4))
            posteriors = waves[:, : examples.frames].softmax(dim=-1)
            made = PretextBatch(inputs=inputs, posteriors=posteriors, padding=padding)
            return self.module.prepare(made, random)
        events = np.stack([examples.event_targets(e, CLASSES) for e in batch])
        labelled = LabelledBatch(
            inputs=inputs,
            padding=padding,
            events=torch.from_numpy(events),
            tags=torch.from_numpy(np.stack([tag_targets(e.row, CLASSES) for e in batch])),
            has_events=torch.tensor([e.row.events is not None for e in batch]),
            has_tags=torch.tensor([e.row.weak is not None and e.is_whole for e in batch]),
        )
        return self.module.prepare(labelled, step, random)


def losses(dataset: Dataset, kind: str, world_size: int, accumulate: int = 1) -> list[float]:
    """The loss of each step."""
    task = Task(dataset, kind)
    optimizer = OptimizerSettings(steps=STEPS, warm_up_steps=0, body_lr=5e-4, head_lr=5e-4)
    trainer = Trainer(task.module, optimizer, seed=SEED)
    loaders = [task.clips.loader(rank, world_size).batches() for rank in range(world_size)]

    def parts(step: int, _: torch.Generator) -> Iterator[Share]:
        prepared = [task.prepare(next(loader).examples, step) for loader in loaders]
        counted = [task.module.totals(each) for each in prepared]
        totals: dict[str, Tensor] = {
            name: torch.stack([count[name] for count in counted]).sum() for name in counted[0]
        }
        for each in prepared:
            for part in each.split(accumulate):
                yield task.module.partial_loss(part, totals)

    return [trainer.take_parts(parts)["loss"] for _ in range(STEPS)]


@pytest.mark.parametrize(
    ("kind", "worlds"), [("pretraining", [(2, 3), (3, 1)]), ("fine-tuning", [(2, 1), (3, 1)])]
)
def test_the_loss_of_each_step_is_that_of_one_worker(
    dataset: Dataset, kind: str, worlds: list[tuple[int, int]]
) -> None:
    alone = losses(dataset, kind, 1)
    assert alone[-1] < 0.95 * alone[0]  # it learns
    for world_size, accumulate in worlds:
        shared = losses(dataset, kind, world_size, accumulate)
        assert shared == pytest.approx(alone, abs=1e-4), (world_size, accumulate)
