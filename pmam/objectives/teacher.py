"""The mean teacher: a slow copy of the student (arXiv 1703.01780)."""

import copy
from typing import TypeVar

import torch
from torch import nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def make_teacher(student: ModuleT) -> ModuleT:
    """A copy that no gradient reaches."""
    return copy.deepcopy(student).requires_grad_(False)


@torch.no_grad()
def follow(
    teacher: nn.Module, student: nn.Module, decay: float, *, statistics: bool = True
) -> None:
    """`teacher = decay * teacher + (1 - decay) * student`, for parameters and running statistics.

    The reference averages parameters alone (`statistics=False`) and lets the teacher's batch
    statistics drift by themselves; averaged, they fit the averaged weights.
    """
    sources = student.state_dict()
    parameters = {name for name, _ in teacher.named_parameters()}
    for name, target in teacher.state_dict().items():
        if not statistics and name not in parameters:
            continue
        source = sources[name]
        if target.is_floating_point():
            target.lerp_(source.to(target), 1.0 - decay)
        else:
            target.copy_(source)
