"""A teacher that follows a student: the moving average of a mean teacher (arXiv 1703.01780)."""

import torch
from torch import nn


class Following:
    """A teacher that follows a student, in parameters and running statistics.

    The reference averages parameters alone (`statistics=False`) and lets the teacher's batch
    statistics drift by themselves; averaged, they fit the averaged weights. `AveragedModel` of
    torch would do neither, and put its own names into checkpoints.

    Args:
        teacher: on its device already.
        student: of the same shape, on the same device.
        statistics: whether it is followed in its running statistics, too.
    """

    def __init__(self, teacher: nn.Module, student: nn.Module, *, statistics: bool = True) -> None:
        sources, parameters = student.state_dict(), dict(student.named_parameters())
        pairs = [
            (target, sources[name])
            for name, target in teacher.state_dict().items()
            if (statistics or name in parameters)
            # What is frozen and equal stays so.
            and not (
                name in parameters
                and not parameters[name].requires_grad
                and torch.equal(target, sources[name])
            )
        ]
        self.averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self.copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def __call__(self, decay: float) -> None:
        """`teacher = decay * teacher + (1 - decay) * student`."""
        if self.averaged:
            targets, sources = zip(*self.averaged, strict=True)
            torch._foreach_lerp_(targets, sources, 1.0 - decay)
        for target, source in self.copied:
            target.copy_(source)


def follow(
    teacher: nn.Module, student: nn.Module, decay: float, *, statistics: bool = True
) -> None:
    """Follow once: see `Following`."""
    Following(teacher, student, statistics=statistics)(decay)
