"""Checkpoints: what comes back is what went in, and damage is one clear error."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from pickle_bomb import Bomb
from safetensors import safe_open
from safetensors.torch import load, save

from pmam.encoders.base import FrameEncoder
from pmam.encoders.settings import SlidingSettings
from pmam.events.settings import PostprocessSettings
from pmam.models.checkpoint import (
    Checkpoint,
    CheckpointError,
    pack_detector,
    pack_encoder,
    pack_masked,
    unpack,
)
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import DetectorSettings
from pmam.settings import to_json

NAME = "runs/finetune/detector.safetensors"
WAVE = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def whole() -> Checkpoint:
    return pack_detector(tiny_models.detector())


def redescribed(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    """The same tensors under another description, as of before; None takes a key out."""
    description = json.loads(checkpoint.description) | {"settings_sha256": None} | changes
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
    assert isinstance(again, DetectorModel)
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


def test_a_checkpoint_of_pickles_is_refused(whole: Checkpoint, tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.pt"
    torch.save({"weight": Bomb(mark)}, file)
    with pytest.raises(CheckpointError, match="safetensors"):
        unpack(with_tensors(whole, file.read_bytes()), NAME)
    assert not mark.exists()


def test_one_file_holds_all_of_it(whole: Checkpoint, tmp_path: Path) -> None:
    """Others' readers find the tensors in it, and the description in its metadata."""
    file = tmp_path / "detector.safetensors"
    file.write_bytes(whole.to_bytes())
    assert Checkpoint.from_bytes(file.read_bytes(), NAME) == whole
    with safe_open(file, "pt") as opened:
        assert json.loads(opened.metadata()["pmam"]) == json.loads(whole.description)
        for name, tensor in load(whole.tensors).items():
            assert torch.equal(opened.get_tensor(name), tensor)
    assert Checkpoint.from_bytes(whole.tensors, NAME) is None  # of an older pair


def laid_out_otherwise(checkpoint: Checkpoint) -> bytes:
    """The same file as another program would write it: another order, other metadata, padding."""
    metadata = {"format": "pt", "pmam": checkpoint.description.decode()}
    header: dict[str, Any] = {"__metadata__": metadata}
    data = b""
    names = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.bool: "BOOL"}
    for name, value in sorted(load(checkpoint.tensors).items(), reverse=True):
        raw = value.numpy().tobytes()
        places = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": names[value.dtype], "shape": list(value.shape)}
        header[name]["data_offsets"] = places
        data += raw
    text = json.dumps(header, indent=1).encode() + b" " * 24
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def test_the_fingerprint_is_of_the_model_not_of_bytes(whole: Checkpoint) -> None:
    other = laid_out_otherwise(whole)
    assert other != whole.to_bytes()
    again = Checkpoint.from_bytes(other, NAME)
    assert again is not None
    assert again.fingerprint == whole.fingerprint
    unpack(again, NAME)
    reordered = json.dumps(json.loads(whole.description), sort_keys=True).encode()
    assert replace(whole, description=reordered).fingerprint == whole.fingerprint
    # What older descriptions lack has its default.
    older = settings_of(whole)
    del older["postprocess"], older["detector"]
    assert redescribed(whole, settings=older).fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"postprocess": to_json(PostprocessSettings(threshold_by_class={"cat": 0.2}))},
        {"postprocess": to_json(PostprocessSettings(median_s=0.5))},
        {"detector": to_json(DetectorSettings(temperature=0.5))},
        {"detector": to_json(DetectorSettings(sliding=SlidingSettings(frames=50, step=10)))},
        {"classes": ["dog", "cat"]},
    ],
)
def test_what_changes_events_changes_the_fingerprint(
    whole: Checkpoint, changes: dict[str, Any]
) -> None:
    assert with_settings(whole, **changes).fingerprint != whole.fingerprint


def test_the_fingerprint_of_an_encoder_is_the_sha256_of_its_tensors() -> None:
    """Prototypes name the encoder that they were fitted to by it, older ones too."""
    checkpoint = pack_encoder(tiny_models.backbone().encoder)
    assert checkpoint.fingerprint == hashlib.sha256(checkpoint.tensors).hexdigest()


def test_post_processing_comes_back_and_older_detectors_have_the_defaults() -> None:
    model = tiny_models.detector(("rain", "cat"))
    model.postprocess = PostprocessSettings(median_s=0.7, threshold_by_class={"cat": 0.25})
    checkpoint = pack_detector(model)
    again = unpack(checkpoint, NAME)
    assert isinstance(again, DetectorModel)
    assert again.postprocess == model.postprocess
    settings = settings_of(checkpoint)
    del settings["postprocess"]
    older = unpack(redescribed(checkpoint, settings=settings), NAME)
    assert isinstance(older, DetectorModel)
    assert older.postprocess == PostprocessSettings()
    unknown = to_json(PostprocessSettings(threshold_by_class={"horse": 0.25}))
    with pytest.raises(CheckpointError, match=r"settings of no detector .*'horse'.* rain, cat"):
        unpack(with_settings(checkpoint, postprocess=unknown), NAME)


@pytest.mark.parametrize(
    "file", [b"", b"\x07", b"\xff" * 40, b"\x02" + bytes(7) + b"[]", b"\x01" + bytes(7) + b"{"]
)
def test_what_is_no_safetensors_file_is_told(file: bytes) -> None:
    with pytest.raises(CheckpointError) as raised:
        Checkpoint.from_bytes(file, NAME)
    assert str(raised.value).startswith(f"{NAME}: not in the format safetensors")
    assert "\n" not in str(raised.value)


def test_damage_of_the_one_file_is_found(whole: Checkpoint) -> None:
    file = whole.to_bytes()
    begin = 8 + int.from_bytes(file[:8], "little")
    for place in range(begin, len(file), (len(file) - begin) // 40):
        data = bytearray(file)
        data[place] ^= 1 << (place % 8)
        with pytest.raises(CheckpointError, match="sha256"):
            unpack(Checkpoint.from_bytes(bytes(data), NAME) or whole, NAME)
    with pytest.raises(CheckpointError, match="not in the format safetensors"):
        Checkpoint.from_bytes(file[:-100], NAME)


def test_settings_that_were_changed_in_the_file() -> None:
    whole = pack_detector(tiny_models.detector())
    unpack(redescribed(whole), "of before")
    text = whole.description.decode()
    for old, new in (
        ('"cat"', '"car"'),
        ('"detector"', '"detectoR"'),
        ("settings_sha", "settingz_sha"),
    ):
        assert old in text
        with pytest.raises(CheckpointError, match=r"^x: .*(do not match their sha256)"):
            unpack(replace(whole, description=text.replace(old, new, 1).encode()), "x")
