"""The names of M2D's parameters in published files, and ours."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pmam.encoders.m2d.front_end import NORM_STATS

# Before the names of the encoder in files that were fine-tuned; those of the head begin otherwise.
FINE_TUNED = "module.ar.runtime.backbone."
HEAD = {
    "module.head.norm.running_mean": "mean",
    "module.head.norm.running_var": "variance",
    "module.head.mlp.mlp.0.weight": "linear.weight",
    "module.head.mlp.mlp.0.bias": "linear.bias",
}
RENAMED = {
    "patch_embed.proj.weight": "patch_embed.weight",
    "patch_embed.proj.bias": "patch_embed.bias",
    "pos_embed": "positions",
}
# What the encoder consists of: all else in a file belongs to what it was trained with (decoder,
# momentum target, projections to texts, front end, optimizer), and is left out.
ENCODER = ("cls_token", "norm_stats", "patch_embed.", "pos_embed", "blocks.", "norm.")


def encoder_tensors(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's parameters under our names; files of 2022 do not tell their `norm_stats`."""
    found = {name.removeprefix(FINE_TUNED): value for name, value in published.items()}
    ours = {
        RENAMED.get(name, name): value for name, value in found.items() if name.startswith(ENCODER)
    }
    ours.setdefault("norm_stats", torch.tensor(NORM_STATS))
    return ours


def head_tensors(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tagging head's parameters under our names; empty where a file has none."""
    return {ours: published[name] for name, ours in HEAD.items() if name in published}
