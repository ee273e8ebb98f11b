"""What a checkpoint is, in a few lines: ours, one that others published, or prototypes."""

from pathlib import Path

import torch
from torch import Tensor, nn

from pipelines.inference.weights import OURS, PUBLISHED, weights_file
from pipelines.runtime.files.urls import file_fingerprint, read_checkpoint, read_prototypes, store
from pmam.encoders.base import FrameEncoder
from pmam.encoders.passt.state_dict_names import LORA, without_wrapper
from pmam.models.checkpoint import CheckpointError, Model, pack_encoder, unpack
from pmam.models.detector import DetectorModel
from pmam.models.importers.detect_format import family_of, import_published, kind_of
from pmam.models.importers.prototypes import import_prototypes
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.published import read_foreign, state_dict_of
from pmam.prototypes.artifact import DESCRIPTION, Prototypes
from pmam.weak_labels.detector import WeakDetector

Facts = dict[str, str]
FAMILIES = {
    "passt": "PaSST",
    "efficientat": "EfficientAT",
    "m2d": "M2D",
    "transformer4sed": "PMAM or MAT-SED (Transformer4SED)",
    "mtl": "the MTL repository (weak labels)",
}


def described(place: str) -> Facts:
    """What is at a path, a URL or a name of `PUBLISHED`, by the name of each fact.

    Raises:
        CheckpointError, FetchError: nothing that is a model or prototypes.
    """
    if "://" not in place and (Path(place) / DESCRIPTION).is_file():
        return {"prototypes": place, **_of_prototypes(read_prototypes(place))}
    if is_ours(place):
        checkpoint = read_checkpoint(place)
        facts = _of_model(unpack(checkpoint, place))
        return {"checkpoint": place, **facts, "sha256": checkpoint.fingerprint}
    return _of_foreign(place)


def is_ours(place: str) -> bool:
    """Whether it is the name of a checkpoint of ours, perhaps without its suffix."""
    if place.endswith((OURS, ".json")):
        return True
    parent, _, stem = place.rpartition("/")
    return place not in PUBLISHED and store(parent or ".").size(f"{stem}{OURS}") is not None


def _of_model(model: Model) -> Facts:
    if isinstance(model, WeakDetector):
        return _of_weak(model)
    facts = {"kind": _kind(model)}
    encoder = model if isinstance(model, FrameEncoder) else model.backbone.encoder
    of_encoder = encoder.settings
    facts["encoder"] = of_encoder.name
    if not bool(encoder.calibration.fitted):
        facts["calibrated"] = "no: give it as --encoder.weights, or run `pmam embed`"
    if of_encoder.weights is not None:
        facts["encoder from"] = of_encoder.weights
    if not isinstance(model, FrameEncoder):
        context = model.backbone.settings.context
        facts["context"] = (
            f"{context.network}, {context.layers} layers of {context.width} channels, "
            f"{context.heads} heads, {context.hidden} inside"
        )
    if isinstance(model, MaskedAudioModel):
        facts["predicts"] = f"{model.prototype_width} channels"
        facts["prototypes"] = f"{model.prototypes or 'not told'}"
    if isinstance(model, DetectorModel):
        facts["classes"] = ", ".join(model.classes)
        facts["temperature"] = f"{model.settings.temperature:g}"
        facts["events"] = model.postprocess.in_words
        sliding = model.settings.sliding
        if sliding.frames:
            facts["windows"] = (
                f"{sliding.frames} frames every {sliding.step}, mixed {sliding.mix:g}"
            )
    facts["parameters"] = _count(model)
    facts["encoder sha256"] = pack_encoder(encoder).fingerprint
    return facts


def _of_weak(model: WeakDetector) -> Facts:
    network = model.settings
    calibrated = bool(model.encoder.calibration.fitted)
    return {
        "kind": "weak_detector",
        "network": f"{network.model}, width {network.width}",
        "hears": (
            f"{network.mels} mel bands every {1000 * network.hop_s:.1f} ms, {network.frames} "
            f"frames in {network.clip_s:.2f} s, at {network.sample_rate_hz} Hz"
        ),
        **({} if calibrated else {"calibrated": "no: the file tells no means of log-mel"}),
        "classes": ", ".join(model.classes),
        "events": model.postprocess.in_words,
        "parameters": _count(model),
    }


def _kind(model: nn.Module) -> str:
    if isinstance(model, DetectorModel):
        return "detector"
    return "masked" if isinstance(model, MaskedAudioModel) else "encoder"


def _count(model: nn.Module) -> str:
    return f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M"


def _of_prototypes(prototypes: Prototypes) -> Facts:
    covariances = prototypes.covariance_type or "none"
    facts = {
        "kind": f"prototypes ({prototypes.kind}, covariances {covariances})",
        "k": str(len(prototypes.means)),
        "features": f"{prototypes.width} channels",
    }
    if prototypes.projection is not None:
        facts["pca"] = f"{prototypes.means.shape[1]} channels"
    return facts | {"encoder sha256": prototypes.encoder or "not told"}


def _of_foreign(place: str) -> Facts:
    file = weights_file(place)
    sha256 = file_fingerprint(str(file))
    names = [name for name, known in PUBLISHED.items() if known.sha256 == sha256]
    facts = {"file": str(file), **({"published as": names[0]} if names else {})}
    loaded = read_foreign(file)
    if isinstance(loaded, Tensor):
        return facts | _of_prototypes(import_prototypes(loaded, place)) | {"sha256": sha256}
    tensors = state_dict_of(loaded, place)
    facts["from"] = FAMILIES[family_of(tensors, place)]
    facts["tensors"] = str(len(tensors))
    if without_wrapper(tensors).keys() != tensors.keys():
        facts["names"] = "with the prefix `module.` of data-parallel training"
    if any(name.rpartition(".")[2] in LORA for name in tensors):
        facts["LoRA"] = "beside weights that have it in already: not counted twice"
    broken = [n for n, v in tensors.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        facts["not finite"] = f"{len(broken)} tensors ({', '.join(broken[:3])})"
    try:
        kind = kind_of(tensors, place)
        outputs = without_wrapper(tensors).get("classifier.bias", torch.zeros(0))
        numbered = tuple(f"class {n}" for n in range(len(outputs)))
        classes = () if len(outputs) == 10 else numbered
        model = import_published(tensors, place, kind=kind, classes=classes)
        facts |= {**_of_model(model), "fits": "yes"}
    except CheckpointError as error:
        facts["fits"] = f"no: {str(error).removeprefix(f'{place}: ')}"
    return facts | {"sha256": sha256}
