"""PMAM's models at full size with the weights of a parity fixture."""

from typing import Any

import torch
from parity_rule import tensors
from torch import nn

from pmam.encoders.settings import LoraSettings
from pmam.models.backbone import Backbone
from pmam.models.detector import DetectorModel
from pmam.models.importers.transformer4sed import our_name, settings_of, translated
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.objectives.masked_prediction import Pretraining
from pmam.objectives.settings import PretextSettings

LORA = LoraSettings(rank=8, alpha=1.0, first_block=8)


def filled(module: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load all that the reference has too: what is left over is constant."""
    missing, unexpected = module.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(".calibration." in name for name in missing)


def pretraining_of(
    meta: dict[str, Any], means: torch.Tensor, settings: PretextSettings
) -> Pretraining:
    """The masked model with LoRA as in training, and its losses."""
    weights = translated(tensors(meta), keep_lora=True)
    prototypes, width = means.shape
    model = MaskedAudioModel(Backbone(settings_of(weights)), width, prototypes)
    pretraining = Pretraining(model, means, settings)
    filled(model, {k: v for k, v in weights.items() if not k.startswith("classifier.")})
    return pretraining.eval()


def detector_of(meta: dict[str, Any]) -> DetectorModel:
    """The detector of a fixture."""
    weights = translated(tensors(meta))
    classes = tuple(f"class {n}" for n in range(len(weights["classifier.bias"])))
    detector = DetectorModel(Backbone(settings_of(weights)), classes)
    filled(detector, weights)
    return detector.eval()


def spelled_out(names: dict[str, list[int] | None]) -> list[str]:
    """A fixture's parameter names, `blocks.*` for each of the blocks it lists."""
    return [
        name if blocks is None else name.replace(".*.", f".{block}.")
        for name, blocks in names.items()
        for block in (blocks or [0])
    ]


def in_our_names(names: dict[str, list[int] | None], without: tuple[str, ...] = ()) -> set[str]:
    """Our names of a fixture's parameters, without those that we have no use for."""
    ours = {our_name(name) for name in spelled_out(names) if not name.startswith(without)}
    return {name for name in ours if name is not None}
