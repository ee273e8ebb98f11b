"""Published files are known by the names in them."""

from pathlib import Path

import pytest
import torch
from parity_rule import load, tensors

from pmam.encoders.base import FrameEncoder
from pmam.models.checkpoint import CheckpointError
from pmam.models.importers.detect_format import (
    DESED_CLASSES,
    default_classes,
    encoder_name,
    family_of,
    import_published,
    kind_of,
)
from pmam.models.settings import DetectorSettings

Tensors = dict[str, torch.Tensor]


def named(parity_dir: Path, item: str) -> Tensors:
    """What a checkpoint would hold, by name and shape alone."""
    meta, _ = load(parity_dir, item)
    return {k: torch.empty(tuple(v), device="meta") for k, v in meta["state_dict"].items()}


@pytest.fixture(scope="module")
def pretrained(parity_dir: Path) -> Tensors:
    return named(parity_dir, "03_passt_cnn_mlm")


@pytest.fixture(scope="module")
def finetuned(parity_dir: Path) -> Tensors:
    return named(parity_dir, "04_passt_cnn_sed")


@pytest.fixture(scope="module")
def passt(finetuned: Tensors) -> Tensors:
    inner = {k for k in finetuned if k.startswith("backbone.")}
    return {k.removeprefix("backbone."): finetuned[k] for k in inner}


def wrapped(published: Tensors) -> Tensors:
    return {f"module.{name}": value for name, value in published.items()}


def without(published: Tensors, *parts: str) -> Tensors:
    return {k: v for k, v in published.items() if not any(part in k for part in parts)}


def test_families(
    parity_dir: Path, pretrained: Tensors, finetuned: Tensors, passt: Tensors
) -> None:
    efficientat = named(parity_dir, "11_efficientat_mn04_seeded")
    for published, family in (
        (pretrained, "transformer4sed"),
        (finetuned, "transformer4sed"),
        (without(finetuned, "cnn"), "transformer4sed"),  # MAT-SED
        (passt, "passt"),
        (efficientat, "efficientat"),
    ):
        assert family_of(published, "x.pt") == family
        assert family_of(wrapped(published), "x.pt") == family
    assert encoder_name(passt, "passt", "x.pt") == "passt"
    assert encoder_name(efficientat, "efficientat", "x.pt") == "mn04"
    with pytest.raises(CheckpointError, match=r"x.pt: an EfficientAT of hidden width 7; expected"):
        encoder_name({"classifier.2.bias": torch.zeros(7)}, "efficientat", "x.pt")
    with pytest.raises(CheckpointError, match=r"x.pt: 1 tensors \(w ...\) of no model that we"):
        family_of({"w": torch.zeros(1)}, "x.pt")


def test_stages(pretrained: Tensors, finetuned: Tensors, passt: Tensors) -> None:
    """Files of pretraining hold a classifier too, and perhaps LoRA."""
    assert kind_of(pretrained, "x.pt") == "masked"
    assert kind_of(without(pretrained, "lora_"), "x.pt") == "masked"
    assert kind_of(wrapped(without(pretrained, "classifier")), "x.pt") == "masked"
    assert kind_of(finetuned, "x.pt") == "detector"
    assert kind_of(passt, "x.pt") == "encoder"


def test_classes_of_a_detector(finetuned: Tensors) -> None:
    assert default_classes(finetuned, "x.pt") == DESED_CLASSES
    seven = finetuned | {"classifier.bias": torch.zeros(7)}
    with pytest.raises(CheckpointError, match=r"a classifier of 7 outputs; name its classes"):
        default_classes(seven, "x.pt")
    with pytest.raises(CheckpointError, match=r"no classifier; name its classes"):
        default_classes(without(finetuned, "classifier"), "x.pt")


def test_an_encoder_becomes_no_detector(passt: Tensors) -> None:
    with pytest.raises(CheckpointError, match="is an encoder; it cannot become a detector"):
        import_published(passt, "x.pt", kind="detector")


def test_the_seeded_mn04_comes_in(parity_dir: Path) -> None:
    meta, _ = load(parity_dir, "11_efficientat_mn04_seeded")
    published = tensors(meta)
    model = import_published(wrapped(published), "mn04.pt", reading=DetectorSettings())
    assert isinstance(model, FrameEncoder)
    assert model.settings.name == "mn04"
    name = "features.0.0.weight"
    assert any(torch.equal(published[name], v) for v in model.state_dict().values())
    with pytest.raises(CheckpointError, match=r"mn04.pt: .* of another shape"):
        import_published(published, "mn04.pt", encoder="mn10")
