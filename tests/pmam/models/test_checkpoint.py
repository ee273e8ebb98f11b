"""Checkpoints: what comes back is what went in, and damage is one clear error."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load, save

from pmam.encoders.base import FrameEncoder
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_published,
    pack_detector,
    pack_encoder,
    pack_masked,
    read_published,
    start_backbone,
    start_detector,
    unpack,
)
from pmam.models.detector import Detector
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, DetectorSettings

NAME = "runs/finetune/detector.safetensors"
WAVE = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def whole() -> Checkpoint:
    return pack_detector(tiny_models.detector())


def redescribed(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    """The same tensors under another description; None takes a key out."""
    description = json.loads(checkpoint.description) | changes
    kept = {key: value for key, value in description.items() if value is not None}
    return replace(checkpoint, description=json.dumps(kept).encode())


def with_tensors(checkpoint: Checkpoint, tensors: bytes) -> Checkpoint:
    """Other tensors, whose sha256 the description names."""
    changed = replace(checkpoint, tensors=tensors)
    return redescribed(changed, sha256=hashlib.sha256(tensors).hexdigest())


def without_a_tensor(checkpoint: Checkpoint) -> Checkpoint:
    tensors = load(checkpoint.tensors)
    del tensors["classifier.bias"]
    return with_tensors(checkpoint, save(tensors))


def reshaped(checkpoint: Checkpoint) -> Checkpoint:
    tensors = load(checkpoint.tensors)
    return with_tensors(checkpoint, save(tensors | {"classifier.bias": torch.zeros(7)}))


def flipped(checkpoint: Checkpoint) -> Checkpoint:
    data = bytearray(checkpoint.tensors)
    data[-5] ^= 1
    return replace(checkpoint, tensors=bytes(data))


def settings_of(checkpoint: Checkpoint) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(checkpoint.description)["settings"]
    return settings


def with_settings(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return redescribed(checkpoint, settings=settings_of(checkpoint) | changes)


def test_an_encoder_comes_back() -> None:
    encoder = tiny_models.backbone().encoder
    again = unpack(pack_encoder(encoder), NAME)
    assert isinstance(again, FrameEncoder)
    assert not again.training
    assert torch.equal(again.inputs(WAVE), encoder.inputs(WAVE))
    assert torch.equal(again(again.inputs(WAVE)), encoder(encoder.inputs(WAVE)))


def test_a_pretrained_model_comes_back() -> None:
    model = tiny_models.masked()
    again = unpack(pack_masked(model), NAME)
    assert isinstance(again, MaskedAudioModel)
    assert again.prototype_width == model.prototype_width
    assert torch.equal(again.mask_token, model.mask_token)
    inputs = model.backbone.encoder.inputs(WAVE)
    assert torch.equal(
        again.predict(again.backbone.embed(inputs)), model.predict(model.backbone.embed(inputs))
    )


def test_a_detector_comes_back() -> None:
    model = tiny_models.detector(("rain", "cat", "dog"))
    checkpoint = pack_detector(model)
    again = unpack(checkpoint, NAME)
    assert isinstance(again, Detector)
    assert again.classes == ("rain", "cat", "dog")
    inputs = model.backbone.encoder.inputs(WAVE)
    assert torch.equal(again(inputs).frames, model(inputs).frames)
    assert torch.equal(again(inputs).clips, model(inputs).clips)
    assert pack_detector(again) == checkpoint


DAMAGE: dict[str, tuple[Callable[[Checkpoint], Checkpoint], str]] = {
    "a flipped byte": (flipped, "sha256"),
    "cut tensors": (lambda c: replace(c, tensors=c.tensors[:-100]), "sha256"),
    "no tensors": (lambda c: replace(c, tensors=b""), "sha256"),
    "tensors of no format": (lambda c: with_tensors(c, b"no tensors at all"), "safetensors"),
    "a tensor too few": (without_a_tensor, "classifier.bias"),
    "a tensor of another shape": (reshaped, "(7,) for (2,)"),
    "no JSON": (lambda c: replace(c, description=b"{"), "description"),
    "a JSON list": (lambda c: replace(c, description=b"[1]"), "description"),
    "no kind": (lambda c: redescribed(c, kind=None), "kind"),
    "another kind": (lambda c: redescribed(c, kind="vocoder"), "vocoder"),
    "another format": (lambda c: redescribed(c, format_version=99), "format version 99"),
    "settings of another kind": (lambda c: redescribed(c, kind="encoder"), "setting"),
    "no settings": (lambda c: redescribed(c, settings={}), "model"),
    "settings that are none": (lambda c: redescribed(c, settings=3), "settings"),
    "an unknown setting": (
        lambda c: with_settings(c, model=settings_of(c)["model"] | {"contxt": {}}),
        "did you mean 'context'",
    ),
    "an unknown encoder": (
        lambda c: with_settings(c, model={"encoder": {"name": "mn99"}}),
        "mn99",
    ),
    "no classes": (lambda c: with_settings(c, classes=[]), "class"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line_that_names_the_file(whole: Checkpoint, damage: str) -> None:
    change, word = DAMAGE[damage]
    with pytest.raises(CheckpointError) as raised:
        unpack(change(whole), NAME)
    message = str(raised.value)
    assert message.startswith(f"{NAME}: ")
    assert word in message
    assert "\n" not in message


def test_every_flipped_bit_of_the_tensors_is_found(whole: Checkpoint) -> None:
    for place in range(0, len(whole.tensors), len(whole.tensors) // 40):
        data = bytearray(whole.tensors)
        data[place] ^= 1 << (place % 8)
        with pytest.raises(CheckpointError, match="sha256"):
            unpack(replace(whole, tensors=bytes(data)), NAME)


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_published_weights_never_run_code(tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.pt"
    torch.save({"weight": Bomb(mark)}, file)
    with pytest.raises(CheckpointError) as raised:
        read_published(file)
    assert not mark.exists()
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


def test_a_checkpoint_of_pickles_is_refused(whole: Checkpoint, tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.pt"
    torch.save({"weight": Bomb(mark)}, file)
    with pytest.raises(CheckpointError, match="safetensors"):
        unpack(with_tensors(whole, file.read_bytes()), NAME)
    assert not mark.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"w": torch.zeros(2)}}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "weights.pt"
    torch.save(content, file)
    with pytest.raises(CheckpointError, match="state dict") as raised:
        read_published(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_what_is_no_file_of_torch_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    for data in (b"", b"not weights", b"PK\x03\x04 nearly"):
        file.write_bytes(data)
        with pytest.raises(CheckpointError) as raised:
            read_published(file)
        assert str(raised.value).startswith(f"{file}: ")
        assert "\n" not in str(raised.value)
    with pytest.raises(CheckpointError, match="no such file"):
        read_published(tmp_path / "elsewhere.pt")


def test_weights_of_another_network_do_not_fit() -> None:
    encoder = build_encoder(EncoderSettings(name="mn04"))
    with pytest.raises(CheckpointError) as raised:
        load_published(encoder, {"conv.weight": torch.zeros(3)}, "other.pt")
    assert str(raised.value).startswith("other.pt: ")
    assert "\n" not in str(raised.value)


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
