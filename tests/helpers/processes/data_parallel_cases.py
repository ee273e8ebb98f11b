"""Trainings whose batch several processes share, and the processes."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from pipelines.training.loop import shares_of
from pipelines.training.settings import TrainSettings
from pmam.encoders.passt.transformer import PaSSTSettings
from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.registry import ENCODERS
from pmam.encoders.settings import EncoderSettings, LoraSettings
from pmam.models.backbone import Backbone
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, ModelSettings
from pmam.objectives.auxiliary import AuxiliaryTask
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.settings import (
    AuxiliarySettings,
    FinetuneLossSettings,
    MaskSettings,
    PretextSettings,
)
from pmam.training.batch_norm_sync import BatchStatistics
from pmam.training.clip_draws import ClipDraws, Random
from pmam.training.settings import PRETRAIN, OptimizerSettings
from pmam.training.trainer import Trainer, Workers
from shards.loading.examples import Example

WORKERS, CLIPS, FRAMES = 2, 8, 50
HELD = torch.tensor([50, 9, 50, 20, 33, 3, 50, 20])
SMALL = PaSSTSettings(width=24, depth=3, heads=2, columns=4)
CONTEXT = ContextSettings(width=16, layers=1, heads=2, hidden=16, dropout=0.0)
MASK = MaskSettings(rate=0.5, token_share=0.6, random_share=0.3)


OPTIMIZER = OptimizerSettings(steps=9, warm_up_steps=0, clip_norm=1e9)


@dataclass(frozen=True)
class Case:
    """What is trained, and how."""

    kind: str
    settings: Any
    optimizer: OptimizerSettings = OPTIMIZER
    accumulate: int = 1


LORA = LoraSettings(rank=2, first_block=1)
CASES = {
    "pretraining": Case("pretext", PretextSettings(mask=MASK), accumulate=2),
    "LoRA and frozen groups": Case(
        "pretext",
        PretextSettings(mask=MASK, lora=LORA),
        replace(OPTIMIZER, groups=PRETRAIN),
        accumulate=2,
    ),
    "no loss for the clip branch": Case("pretext", PretextSettings(mask=MASK, clip_weight=0.0)),
    "fine-tuning": Case("tuning", FinetuneLossSettings(consistency_ramp_steps=0), accumulate=4),
    "heads alone": Case("tuning", FinetuneLossSettings(trained="heads")),
    # One worker has five of the six clips without labels.
    "prototypes too": Case("prototypes", FinetuneLossSettings(consistency_weight=0.0)),
}
AUXILIARY = AuxiliarySettings(weight=0.5, mask=MASK)


class Task:
    """A stage's task on clips that are there already."""

    def __init__(self, case: Case, rank: int = 0, world: int = 1) -> None:
        torch.manual_seed(0)
        settings = EncoderSettings(name="passt_cnn", transformer_layer=2)
        backbone = Backbone(ModelSettings(encoder=settings, context=CONTEXT))
        generator = torch.Generator().manual_seed(1)
        tensors = {
            "inputs": torch.randn(CLIPS, FRAMES, 128, generator=generator),
            # Much more of it on one worker than on the other.
            "padding": torch.arange(FRAMES)[None] >= HELD[:, None],
        }
        self.unlabelled: PretextBatch | None = None
        if case.kind == "pretext":
            model = MaskedAudioModel(backbone, prototype_width=5, prototypes=3)
            posteriors = torch.randn(CLIPS, FRAMES, 3, generator=generator).softmax(dim=-1)
            batch: Any = PretextBatch(**mine(tensors | {"posteriors": posteriors}, rank, world))
            means = torch.randn(3, 5, generator=generator)
            self.module: Any = Pretraining(model, means, case.settings)
        else:
            tensors |= {
                "events": (torch.rand(CLIPS, FRAMES, 2, generator=generator) > 0.5).float(),
                "tags": (torch.rand(CLIPS, 2, generator=generator) > 0.5).float(),
                "has_events": torch.tensor([True, True, True] + 5 * [False]),
                "has_tags": torch.tensor(3 * [False] + [True] + 4 * [False]),
            }
            batch = LabelledBatch(**mine(tensors, rank, world))
            auxiliary = None
            if case.kind == "prototypes":
                means = torch.randn(3, 5, generator=generator)
                auxiliary = AuxiliaryTask(CONTEXT.width, means, AUXILIARY)
                posteriors = torch.randn(CLIPS, FRAMES, 3, generator=generator).softmax(dim=-1)
                plain = {"inputs": tensors["inputs"].flip(0), "padding": tensors["padding"]}
                self.clips = theirs(rank, world)
                found = {n: v[self.clips] for n, v in (plain | {"posteriors": posteriors}).items()}
                self.unlabelled = PretextBatch(**found)
            detector = DetectorModel(backbone, ("cat", "dog"))
            self.module = Finetuning(detector, case.settings, auxiliary=auxiliary)
            with torch.no_grad():
                self.module.teacher.classifier.bias += 1.0
        self.kind, self.batch = case.kind, batch
        self.names = [str(clip) for clip in range(CLIPS)][rank::world]
        # Batch statistics are of a worker's clips: with those of the whole, all would be equal.
        self.module.train()
        for part in self.module.modules():
            if isinstance(part, nn.BatchNorm2d | nn.Dropout):
                part.eval()

    def prepare(self, batch: list[Example], step: int, random: Random) -> Any:
        more = () if self.kind == "pretext" else (step,)
        own = ClipDraws(0, step, self.names)  # the clips are there already
        if self.unlabelled is not None:
            names = [f"u{clip}" for clip in self.clips]
            return self.module.prepare(
                self.batch, *more, own, self.unlabelled, ClipDraws(0, step, names)
            )
        return self.module.prepare(self.batch, *more, own)


def theirs(rank: int, world: int) -> list[int]:
    """The clips without labels of a worker: many of one, few of the other."""
    return list(range(6)) if world == 1 else [[0, 1, 2, 3, 4], [5]][rank]


def mine(tensors: dict[str, torch.Tensor], rank: int, world: int) -> dict[str, torch.Tensor]:
    return {name: value[rank::world] for name, value in tensors.items()}


def two_steps(case: Case, workers: Workers) -> dict[str, Any]:
    """The second step's numbers and gradients: unused parameters stop DDP there."""
    task = Task(case, workers.rank, workers.world_size)
    trainer = Trainer(task.module, case.optimizer, seed=0, workers=workers)
    settings = TrainSettings(accumulate=case.accumulate)
    shares = shares_of(task, settings, workers, BatchStatistics(task.module))  # type: ignore[arg-type]
    for _ in range(2):
        batch = task.prepare([], trainer.step, torch.Generator())
        values = trainer.take_parts(partial(shares, batch))
    gradients = {n: p.grad for n, p in task.module.named_parameters() if p.grad is not None}
    return {"values": values, "gradients": gradients}


def shrink() -> None:
    """PaSST in a size that is built in no time."""
    import pmam.encoders.passt.encoder

    pmam.encoders.passt.encoder.CLIP_HEADS = 2
    ENCODERS["passt_cnn"] = lambda settings: PaSSTCNNEncoder(settings, SMALL)


def worker(rank: int, folder: str) -> None:
    """One of the processes; as Ray Train prepares it."""
    import ray.train.torch

    torch.set_num_threads(1)
    shrink()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORKERS
    )

    def wrapped(module: nn.Module, parallel_strategy_kwargs: dict[str, Any]) -> nn.Module:
        return nn.parallel.DistributedDataParallel(module, **parallel_strategy_kwargs)

    ray.train.torch.prepare_model = wrapped

    def add_up(tensor: torch.Tensor) -> torch.Tensor:
        torch.distributed.all_reduce(tensor)
        return tensor

    workers = Workers(rank=rank, world_size=WORKERS, add_up=add_up)
    found = {name: two_steps(case, workers) for name, case in CASES.items()}
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
