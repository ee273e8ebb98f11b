"""What training starts from: a model's own backbone, and the heads of a detector that goes on."""

import pytest
import tiny_models
import torch

from pmam.models.checkpoint import CheckpointError
from pmam.models.settings import ContextSettings, DetectorSettings
from pmam.models.start import start_backbone, start_detector

NAME = "runs/finetune/detector.safetensors"


def test_a_model_goes_on_with_its_own_backbone_alone() -> None:
    model = tiny_models.masked()
    assert start_backbone(model, tiny_models.CONTEXT, NAME) is model.backbone
    with pytest.raises(CheckpointError) as raised:
        start_backbone(model, ContextSettings(width=32, heads=2), NAME)
    assert str(raised.value).startswith(f"{NAME}: ")


def test_a_detector_goes_on_with_its_heads() -> None:
    model = tiny_models.detector(("cat", "dog"))
    reading = DetectorSettings(temperature=0.5)
    goes_on = start_detector(model, tiny_models.CONTEXT, ("cat", "dog"), reading, NAME)
    assert goes_on.settings == reading
    assert torch.equal(goes_on.classifier.weight, model.classifier.weight)
    for classes in (("dog", "cat"), ("cat", "dog", "owl")):
        other = start_detector(model, tiny_models.CONTEXT, classes, reading, NAME)
        assert other.classes == classes
        assert not torch.equal(other.classifier.weight[:2], model.classifier.weight)
        assert other.backbone is model.backbone
