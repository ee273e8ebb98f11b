"""One optimisation step, the same for all objectives: each is a pure function of (seed, step)."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pmam.errors import InputError
from pmam.training.errors import TrainingError
from pmam.training.parameter_groups import GROUP_NAMES, groups_of
from pmam.training.schedules import exponential_down, late_warm_up, plateau_scale, warm_up
from pmam.training.settings import OptimizerSettings, Plateau

# A loss and scalars to log.
Share = tuple[Tensor, dict[str, Tensor]]
# One step: the number of the step and its random numbers, to its loss,
StepFunction = Callable[[int, torch.Generator], Share]
# or to parts of it, which add up.
PartsFunction = Callable[[int, torch.Generator], Iterable[Share]]


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Those who train together: each takes a part of every batch."""

    # Which one this is,
    rank: int = 0

    # of how many.
    world_size: int = 1
    # The sum of a tensor over all of them.
    add_up: Callable[[Tensor], Tensor] = lambda tensor: tensor


ALONE = Workers()


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """The seed of all that is random in one step of one worker."""
    digest = hashlib.sha256(f"{seed}:{step}:{rank}".encode()).digest()
    return int.from_bytes(digest[:7], "little")


class Trainer:
    """A module, its optimizer and the number of steps taken: all that a checkpoint must hold.

    Args:
        module: what is saved and whose trainable parameters are optimised, on its device already.
            Parameters under a `backbone` take `body_lr`, all others `head_lr`.
        settings: optimizer and schedule.
        seed: of everything that a step draws.
        workers: who trains; each draws other numbers.
        plateau: how the learning rate follows what `judge` is told, besides its schedule.
    """

    def __init__(
        self,
        module: nn.Module,
        settings: OptimizerSettings,
        seed: int,
        workers: Workers = ALONE,
        plateau: Plateau | None = None,
    ) -> None:
        self.plateau, self.judged = plateau, list[float]()
        self.module, self.settings, self.seed, self.workers = module, settings, seed, workers
        groups = optimizer_groups(module, settings)
        self.parameters: list[nn.Parameter] = [p for g in groups for p in g["params"]]
        if not self.parameters:
            raise InputError(
                f"nothing to train: {settings.groups if settings.groups.set else 'all is frozen'}; "
                "set a learning rate of parameters that the model has, and that are not frozen"
            )
        # One kernel for all parameters, where calling some for each would take the time.
        self.optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
        self.base_lrs = tuple(float(g["lr"]) for g in groups)
        # What was given a rate in vain.
        self.idle = tuple(g["name"] for g in groups if g["lr"] > 0 and not g["params"])
        self.step = 0

    def lr_scale(self) -> float:
        """Factor of the base learning rates at the coming step."""
        settings = self.settings
        flat = round(settings.flat_share * settings.steps)
        down = exponential_down(self.step, settings.steps, flat, settings.down_exponent)
        grow = late_warm_up if settings.warm_up_late else warm_up
        scale = grow(self.step, settings.warm_up_steps) * down
        if self.plateau is not None:
            scale *= plateau_scale(self.judged, self.plateau.patience, self.plateau.factor)
        return scale

    def judge(self, value: float) -> None:
        """Take a value of the plateau's metric: the learning rates of the next steps follow it."""
        self.judged.append(value)

    def take_step(self, step_function: StepFunction) -> dict[str, float]:
        """One update; returns what to log: the loss, what the function says, learning rates.

        Raises:
            TrainingError: the loss or the gradient is not finite; nothing was updated.
        """
        return self.take_parts(lambda step, generator: (step_function(step, generator),))

    def take_parts(self, parts: PartsFunction) -> dict[str, float]:
        """As `take_step`, from parts of the batch, one after the other: their losses add up."""
        seed = step_seed(self.seed, self.step, self.workers.rank)
        torch.manual_seed(seed)  # dropout
        generator = torch.Generator().manual_seed(seed)
        scale = self.lr_scale()
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base * scale
        self.optimizer.zero_grad(set_to_none=True)
        losses, logs = [], dict[str, Tensor]()
        for loss, logged in parts(self.step, generator):
            # Data-parallel training takes the mean of the workers' gradients: here is their sum.
            (loss * self.workers.world_size).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            for name, value in logged.items():
                logs[name] = logs[name] + value.detach() if name in logs else value.detach()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        shares, numbers, length = self._added_up(losses, logs, norm)
        self._check(shares, length)
        self.optimizer.step()
        self.step += 1
        rates = {f"lr/{g['name']}": g["lr"] for g in self.optimizer.param_groups if g["params"]}
        return {"loss": math.fsum(shares.values()), **numbers, **rates}

    def _added_up(
        self, losses: list[Tensor], logs: Mapping[str, Tensor], norm: Tensor
    ) -> tuple[dict[tuple[int, int], float], dict[str, float], float]:
        """Losses by (rank, part), sums of what is logged, and the length of the gradient.

        All in one go: each look at a number makes a GPU, and other workers, wait.
        """
        slots, workers = self.workers.world_size * len(losses), self.workers
        own = torch.zeros(slots, device=losses[0].device)
        own[workers.rank * len(losses) :][: len(losses)] = torch.stack(losses).float()
        numbers = [value.float() for value in logs.values()]
        summed = workers.add_up(torch.cat([own, torch.stack(numbers)]) if numbers else own)
        found: list[float] = torch.cat([summed, norm.detach().float().view(1)]).tolist()
        keys = [(rank, part) for rank in range(workers.world_size) for part in range(len(losses))]
        shares = dict(zip(keys, found[:slots], strict=True))
        return shares, dict(zip(logs, found[slots:-1], strict=True)), found[-1]

    def _check(self, shares: Mapping[tuple[int, int], float], length: float) -> None:
        bad = [key for key, loss in shares.items() if not math.isfinite(loss)]
        if bad or not math.isfinite(length):
            raise TrainingError(
                f"step {self.step}: loss {sum(shares.values())}, gradient norm {length}; "
                "lower the learning rates, or look for clips with broken audio (`pmam verify`)",
                bad,
            )

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on, as tensors by name."""
        tensors = {f"module.{k}": v for k, v in self.module.state_dict().items()}
        for index, parameter in enumerate(self.parameters):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
        tensors["step"] = torch.tensor(self.step)
        if self.plateau is not None:
            tensors["judged"] = torch.tensor(self.judged, dtype=torch.float64)
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from `state()` of a trainer of the same module."""
        module = {k.removeprefix("module."): v for k, v in named(tensors, "module.")}
        self.module.load_state_dict(module)
        self.step = int(tensors["step"])
        if self.plateau is not None:
            self.judged = tensors["judged"].tolist()
        for index, parameter in enumerate(self.parameters):
            kept = {}
            for key, value in named(tensors, f"optimizer.{index}."):
                kept[key.rsplit(".", 1)[-1]] = value.to(parameter.device)
            if kept:
                self.optimizer.state[parameter] = kept


def optimizer_groups(module: nn.Module, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Trainable parameters with their rates: body and heads, or PMAM's groups where those are set.

    What belongs to a group without a learning rate is frozen. A module may have rates of its own,
    `own_rates`, by the beginning of names.
    """
    own: Mapping[str, float] = getattr(module, "own_rates", {})
    groups = [
        {"name": start.rstrip("."), "params": _below(module, start), "lr": rate}
        for start, rate in own.items()
    ]
    return [*_chosen_groups(module, settings, tuple(own)), *groups]


def _below(module: nn.Module, start: str) -> list[nn.Parameter]:
    return [p for n, p in module.named_parameters() if n.startswith(start) and p.requires_grad]


def _chosen_groups(
    module: nn.Module, settings: OptimizerSettings, others: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The groups that the settings speak of: all but names that start with one of `others`."""

    def theirs() -> list[tuple[str, nn.Parameter]]:
        every = module.named_parameters()
        return [(n, p) for n, p in every if not n.startswith(others)]

    rates = settings.groups
    if not rates.set:
        named = [(n, p) for n, p in theirs() if p.requires_grad]
        body = [p for n, p in named if "backbone." in n]
        head = [p for n, p in named if "backbone." not in n]
        return [
            {"name": "body", "params": body, "lr": settings.body_lr},
            {"name": "head", "params": head, "lr": settings.head_lr},
        ]
    group_by_name = groups_of(module)
    for name, parameter in theirs():
        trained = rates.trains(name, group_by_name[name])
        parameter.requires_grad_(parameter.requires_grad and trained)
    named = [(n, p) for n, p in theirs() if p.requires_grad]
    return [
        {
            "name": group,
            "params": [p for n, p in named if group_by_name[n] == group],
            "lr": rates.rate(group),
            "weight_decay": rates.weight_decay(group, settings.weight_decay),
        }
        for group in GROUP_NAMES
    ]


def named(tensors: dict[str, Tensor], prefix: str) -> Iterable[tuple[str, Tensor]]:
    """The entries whose name starts with a prefix."""
    return ((name, value) for name, value in tensors.items() if name.startswith(prefix))
