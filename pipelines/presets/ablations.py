"""Variants of any preset that differ from it in one setting."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pipelines.presets.settings import RunSettings
from pipelines.runtime.errors import PipelineError

SettingsT = TypeVar("SettingsT")

OBJECTIVE = "pretrain.pretext.objective"
MASK_RATE = "pretrain.pretext.mask.rate"
# The setting, and what it becomes.
ABLATIONS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "kmeans": ("fit.kind", "kmeans"),
        "infonce": (OBJECTIVE, "info_nce"),
        "cross-entropy": (OBJECTIVE, "cross_entropy"),
        "softmax-cross-entropy": (OBJECTIVE, "softmax_cross_entropy"),
        "focal": (OBJECTIVE, "focal"),
        "label-smoothing": (OBJECTIVE, "label_smoothing"),
        "no-mask": (MASK_RATE, 0.0),
        **{f"mask-{rate}": (MASK_RATE, rate) for rate in (0.25, 0.5, 0.75, 0.8, 0.9)},
        **{f"k-{k}": ("fit.k", k) for k in (10, 20, 30, 50)},
        **{f"iterations-{n}": ("iterations", n) for n in (0, 1, 2, 3, 4)},
        "masked-frames": ("pretrain.pretext.unmasked_weight", 0.0),
        "no-auxiliary": ("finetune.auxiliary.weight", 0.0),
        "no-teacher": ("finetune.losses.consistency_weight", 0.0),
        "reconstruction": ("finetune.losses.reconstruction_weight", 0.1),
    }
)


def ablated(settings: RunSettings, name: str) -> RunSettings:
    """The settings with one of `ABLATIONS`.

    Raises:
        PipelineError: there is no such ablation.
    """
    if name not in ABLATIONS:
        raise PipelineError(f"ablation {name!r}: expected one of {', '.join(ABLATIONS)}")
    return changed(settings, *ABLATIONS[name])


def changed(settings: SettingsT, path: str, value: Any) -> SettingsT:
    """Settings with another value of one field; `path` is its name as on the command line."""
    name, _, rest = path.partition(".")
    if rest:
        value = changed(getattr(settings, name), rest, value)
    return dataclasses.replace(settings, **{name: value})  # type: ignore[type-var]
