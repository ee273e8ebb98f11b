"""Which parameters learn at which rate: PMAM's groups, as a function of names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from torch import nn

ParameterGroup = Literal["passt", "passt_top", "cnn", "decoder", "head"]
GROUP_NAMES: tuple[ParameterGroup, ...] = get_args(ParameterGroup)
# What begins with which pattern belongs to which group; the first that fits decides.
Patterns = tuple[tuple[str, ParameterGroup], ...]

# Names of our modules but for encoders, which have patterns of their own in their
# `parameter_groups`. PMAM counts the clip branch as heads.
GROUPS: Patterns = (
    (r"backbone\.clip_pooling\.", "head"),
    (r"backbone\.", "decoder"),
    (r"", "head"),
)
ENCODER = re.compile(r"(?:^|\.)backbone\.encoder\.")


def group_of(name: str, of_encoder: Patterns) -> ParameterGroup:
    """The group of a parameter, by its name in a model: a detector, or a masked audio model.

    Args:
        name: as `named_parameters` has it.
        of_encoder: the patterns of the model's encoder, for names below it.
    """
    if inside := ENCODER.search(name):
        below = name[inside.end() :]
        return next(group for pattern, group in of_encoder if re.match(pattern, below))
    return next(group for pattern, group in GROUPS if re.search(rf"(^|\.){pattern}", name))


def groups_of(model: nn.Module, prefix: str = "") -> dict[str, ParameterGroup]:
    """The group of each parameter of a model with one kind of encoder, by name.

    Args:
        model: a detector, a masked audio model, or an objective that holds some.
        prefix: what is put before the names, `backbone.` where the model is the backbone alone.
    """
    found = (getattr(module, "parameter_groups", None) for module in model.modules())
    # A model without an encoder has no names below one.
    of_encoder: Patterns = next((patterns for patterns in found if patterns is not None), ())
    names = [f"{prefix}{name}" for name, _ in model.named_parameters()]
    return {name: group_of(name, of_encoder) for name in names}
