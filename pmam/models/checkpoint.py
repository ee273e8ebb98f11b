"""Checkpoints: one safetensors file of tensors and, in its metadata, of what they are; no pickle.

Older ones are pairs, with the same description in a file beside the tensors.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from pmam.encoders.base import FrameEncoder
from pmam.encoders.lora import merged_state_dict
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.errors import InputError
from pmam.events.settings import PostprocessSettings
from pmam.models.backbone import Backbone
from pmam.models.checkpoint_file import description_in, tensors_alone, with_description
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import DetectorSettings, ModelSettings
from pmam.models.state_dict import StateDictError, load_fitting
from pmam.settings import from_json, to_json
from pmam.weak_labels.detector import WeakDetector
from pmam.weak_labels.settings import WeakNetworkSettings

FORMAT_VERSION = 1
ENTRIES = {"format_version", "kind", "sha256", "settings", "settings_sha256"}  # of a description
Model = FrameEncoder | MaskedAudioModel | DetectorModel | WeakDetector


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged, of another format or of another shape."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model on its way to or from storage."""

    tensors: bytes  # safetensors without metadata, in the library's own layout
    description: bytes  # JSON

    @property
    def fingerprint(self) -> str:
        """What identifies the model: a sha256 of what decides its output, and of nothing else.

        That is the tensors; of a detector also its classes, how it is read, and what makes events
        of its scores. Where a file is, who wrote it and in which layout changes nothing.
        """
        digest = hashlib.sha256(self.tensors)
        try:
            description = json.loads(self.description)
            if (decides := _DECIDES.get(description["kind"])) is not None:
                read = decides(description["settings"])
                digest.update(json.dumps(read, sort_keys=True).encode())
        except (ValueError, KeyError, TypeError):
            pass  # whoever builds the model says what is wrong with the description
        return digest.hexdigest()

    @property
    def weights_sha256(self) -> str:
        """The sha256 of the tensors alone: damage shows in it."""
        return hashlib.sha256(self.tensors).hexdigest()

    def to_bytes(self) -> bytes:
        """The one file that holds all of it."""
        return with_description(self.tensors, self.description.decode())

    @classmethod
    def from_bytes(cls, file: bytes, name: str) -> "Checkpoint | None":
        """The checkpoint in a file of any writer's layout; None where none is described in it.

        `name` stands in errors.

        Raises:
            CheckpointError: it is no safetensors file.
        """
        try:
            description = description_in(file)
            if description is None:
                return None
            return cls(tensors=tensors_alone(file), description=description.encode())
        except ValueError as error:
            raise CheckpointError(
                f"{name}: not in the format safetensors ({error}); copy or train it again"
            ) from error


def _detector_settings(settings: Any) -> dict[str, Any]:
    """What besides the tensors decides a detector's output, defaults filled in."""
    return {
        "classes": list(settings["classes"]),
        "detector": to_json(from_json(DetectorSettings, settings.get("detector", {}))),
        "postprocess": to_json(from_json(PostprocessSettings, settings.get("postprocess", {}))),
    }


def _weak_settings(settings: Any) -> dict[str, Any]:
    """The same of a network for weak labels."""
    return {
        "classes": list(settings["classes"]),
        "network": to_json(from_json(WeakNetworkSettings, settings["network"])),
        "postprocess": to_json(from_json(PostprocessSettings, settings["postprocess"])),
    }


# By the kind of checkpoint; of others the tensors alone decide.
_DECIDES: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "detector": _detector_settings,
    "weak_detector": _weak_settings,
}


def _pack(kind: str, module: nn.Module, settings: dict[str, Any]) -> Checkpoint:
    # LoRA goes into the weights, and only there: whoever loads them cannot count it twice.
    merged = merged_state_dict(module)
    state = {name: value.detach().cpu().contiguous() for name, value in merged.items()}
    tensors = safetensors.torch.save(state)
    description = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "sha256": hashlib.sha256(tensors).hexdigest(),
        "settings": settings,
        "settings_sha256": _settings_sha256(kind, settings),
    }
    return Checkpoint(tensors=tensors, description=json.dumps(description, indent=2).encode())


def _settings_sha256(kind: str, settings: Any) -> str:
    """Of kind and settings, in whatever order a file has them."""
    return hashlib.sha256(json.dumps([kind, settings], sort_keys=True).encode()).hexdigest()


def pack_encoder(encoder: FrameEncoder) -> Checkpoint:
    """A calibrated encoder; where its pretrained weights came from stays in the settings."""
    return _pack("encoder", encoder, to_json(encoder.settings))


def pack_masked(model: MaskedAudioModel) -> Checkpoint:
    """A pretrained model."""
    settings = {
        "model": to_json(model.backbone.settings),
        "prototype_width": model.prototype_width,
        "prototypes": model.prototypes,
    }
    return _pack("masked", model, settings)


def pack_detector(model: DetectorModel) -> Checkpoint:
    """A fine-tuned detector with its classes."""
    settings = {
        "model": to_json(model.backbone.settings),
        "classes": list(model.classes),
        "detector": to_json(model.settings),
        "postprocess": to_json(model.postprocess),
    }
    return _pack("detector", model, settings)


def pack_weak(model: WeakDetector) -> Checkpoint:
    """A network that was trained on weak labels, with its front-end and classes."""
    settings = {
        "network": to_json(model.settings),
        "classes": list(model.classes),
        "postprocess": to_json(model.postprocess),
    }
    return _pack("weak_detector", model, settings)


def unpack(checkpoint: Checkpoint, name: str) -> Model:
    """The model in evaluation mode; `name` stands in errors.

    Raises:
        CheckpointError: damaged, of another format version, or tensors that do not fit.
    """
    try:
        description = json.loads(checkpoint.description)
        version, kind = description["format_version"], description["kind"]
        settings, digest = description["settings"], description["sha256"]
        # those of before have none
        settings_digest = description.get("settings_sha256", _settings_sha256(kind, settings))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{name}: not a checkpoint description ({error!r})") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{name}: format version {version}, expected {FORMAT_VERSION}; "
            "train it again with this version of pmam"
        )
    if checkpoint.weights_sha256 != digest:
        raise CheckpointError(f"{name}: tensors do not match their sha256; copy or train it again")
    if settings_digest != _settings_sha256(kind, settings) or description.keys() - ENTRIES:
        raise CheckpointError(
            f"{name}: kind and settings do not match their sha256; copy or train it again"
        )
    if kind not in _BUILDERS:
        raise CheckpointError(f"{name}: kind {kind!r}, expected one of {', '.join(_BUILDERS)}")
    try:
        model = _BUILDERS[kind](settings)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{name}: settings of no {kind} ({error}); "
            "train it again, or use the version of pmam that wrote it"
        ) from error
    try:
        tensors = safetensors.torch.load(checkpoint.tensors)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{name}: not in the format safetensors ({error})") from error
    load_strictly(model, tensors, name)
    return model.eval()


def _build_encoder(settings: Any) -> FrameEncoder:
    return build_encoder(from_json(EncoderSettings, settings))


def _build_masked(settings: Any) -> MaskedAudioModel:
    shape = from_json(ModelSettings, settings["model"])
    width, prototypes = settings["prototype_width"], settings.get("prototypes", 0)
    return MaskedAudioModel(Backbone(shape), width, prototypes)


def _build_detector(settings: Any) -> DetectorModel:
    shape = from_json(ModelSettings, settings["model"])
    reading = from_json(DetectorSettings, settings.get("detector", {}))
    # Detectors of before events were part of them have the defaults.
    postprocess = from_json(PostprocessSettings, settings.get("postprocess", {}))
    return DetectorModel(Backbone(shape), tuple(settings["classes"]), reading, postprocess)


def _build_weak(settings: Any) -> WeakDetector:
    shape = from_json(WeakNetworkSettings, settings["network"])
    postprocess = from_json(PostprocessSettings, settings["postprocess"])
    return WeakDetector(shape, tuple(settings["classes"]), postprocess)


_BUILDERS: Mapping[str, Callable[[Any], Model]] = {
    "encoder": _build_encoder,
    "masked": _build_masked,
    "detector": _build_detector,
    "weak_detector": _build_weak,
}


def load_strictly(module: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    """Load a state dict whose names and shapes must all fit.

    Raises:
        CheckpointError: names what is missing, unexpected or of another shape.
    """
    try:
        load_fitting(module, tensors)
    except StateDictError as error:
        raise CheckpointError(f"{name}: {error}") from error
