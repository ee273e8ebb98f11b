"""PMAM's and MAT-SED's own checkpoints (Transformer4SED) as our models."""

import re
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from pmam.encoders.passt.state_dict_names import LORA, TAGGING_HEADS, passt_name, without_wrapper
from pmam.encoders.settings import EncoderSettings
from pmam.models.backbone import Backbone
from pmam.models.checkpoint import CheckpointError, load_strictly
from pmam.models.detector import PLAIN, DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, DetectorSettings, ModelSettings

POOLING = {
    "f_att_token": "token",
    "frequency_att.in_proj_weight": "in_proj.weight",
    "frequency_att.in_proj_bias": "in_proj.bias",
    "frequency_att.out_proj.weight": "out_proj.weight",
    "frequency_att.out_proj.bias": "out_proj.bias",
}
# Their prefix, and ours; the rest of a name stays, but for the parts with names of their own.
PREFIXES = (
    ("out_norm.", "backbone.encoder.transformer.out_norm."),
    ("transformer_projector.", "backbone.projector.transformer."),
    ("cnn_projector.", "backbone.projector.cnn."),
    ("merge_weight", "backbone.projector.merge_weight"),
    ("at_adpater.1.", "branch."),
    ("mlm_mlp.", "head."),
    ("mask_token", "mask_token"),
    ("classifier.", "classifier."),
)
CNN_PARTS = {"conv": "conv", "batchnorm": "norm", "cg": "gate"}

ModelT = TypeVar("ModelT", bound=nn.Module)


def our_name(name: str) -> str | None:
    """Our name of a parameter; None for PaSST's tagging heads, which we do without.

    Raises:
        KeyError: no part of PMAM has such a name.
    """
    if name.startswith("backbone."):
        inner = name.removeprefix("backbone.")
        if inner.startswith(TAGGING_HEADS):
            return None
        return f"backbone.encoder.transformer.passt.{passt_name(inner)}"
    for theirs, ours in (
        ("f_pool_module.", "backbone.encoder.transformer.pool."),
        ("at_adpater.0.", "backbone.clip_pooling."),
    ):
        if name.startswith(theirs):
            return ours + POOLING[name.removeprefix(theirs)]
    if found := re.fullmatch(r"cnn\.cnn\.(conv|batchnorm|cg)(\d+)\.(.+)", name):
        part, stage, leaf = found.groups()
        return f"backbone.encoder.cnn.stages.{stage}.{CNN_PARTS[part]}.{leaf}"
    if found := re.fullmatch(r"decoder\.encoder_blocks\.(\d+)\.(.+)", name):
        leaf = found[2].replace("mlp.fc1.", "mlp.0.").replace("mlp.fc2.", "mlp.2.")
        return f"backbone.context.blocks.{found[1]}.{leaf}"
    for theirs, ours in PREFIXES:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    raise KeyError(name)


def translated(published: Mapping[str, Tensor], *, keep_lora: bool = False) -> dict[str, Tensor]:
    """A state dict under our names and shapes, without PaSST's tagging heads.

    Files of pretraining hold LoRA's factors beside weights that have them in already: they are
    left out, so that no change counts twice, unless `keep_lora`.

    Raises:
        CheckpointError: names that are no part of PMAM.
    """
    tensors: dict[str, Tensor] = {}
    strange = []
    for name, value in without_wrapper(published).items():
        if name.rpartition(".")[2] in LORA and not keep_lora:
            continue
        try:
            ours = our_name(name)
        except KeyError:
            strange.append(name)
            continue
        if ours is not None:
            is_token = ours.endswith(("pool.token", "clip_pooling.token")) or ours == "mask_token"
            tensors[ours] = value.flatten() if is_token else value
    if strange:
        raise CheckpointError(
            f"{len(strange)} unexpected tensors ({', '.join(sorted(strange)[:3])}): "
            "expected a checkpoint of PMAM or MAT-SED"
        )
    if "backbone.projector.transformer.weight" in tensors and not any(
        name.startswith("backbone.encoder.cnn.") for name in tensors
    ):
        for leaf in ("weight", "bias"):
            moved = tensors.pop(f"backbone.projector.transformer.{leaf}")
            tensors[f"backbone.projector.{leaf}"] = moved
    return tensors


def settings_of(tensors: Mapping[str, Tensor], transformer_layer: int = 10) -> ModelSettings:
    """The encoder and the context network that a translated state dict belongs to."""
    block = "backbone.context.blocks.{}.attn.pos_bias_u"
    if block.format(0) not in tensors:
        raise CheckpointError(
            f"no tensor {block.format(0)}: expected the Transformer-XL of PMAM or MAT-SED"
        )
    layers = sum(block.format(n) in tensors for n in range(len(tensors)))
    heads, per_head = tensors[block.format(0)].shape
    has_cnn = any(name.startswith("backbone.encoder.cnn.") for name in tensors)
    encoder = EncoderSettings(
        name="passt_cnn" if has_cnn else "passt", transformer_layer=transformer_layer
    )
    context = ContextSettings(
        width=heads * per_head,
        layers=layers,
        heads=heads,
        hidden=len(tensors["backbone.context.blocks.0.mlp.0.bias"]),
    )
    return ModelSettings(encoder=encoder, context=context)


def import_backbone(published: Mapping[str, Tensor], name: str) -> Backbone:
    """The backbone of a checkpoint of any stage; heads stay behind.

    MAT-SED's pretraining has no clip branch: its pooling starts untrained.

    Raises:
        CheckpointError: lists what is missing, unexpected or of another shape.
    """
    tensors = _translated(published, name)
    kept = {k.removeprefix("backbone."): v for k, v in tensors.items() if k.startswith("backbone.")}
    return _filled(_backbone(tensors, name), kept, name, clip_branch=_has_branch(tensors))


def import_masked(published: Mapping[str, Tensor], name: str) -> MaskedAudioModel:
    """A pretrained model; the event classifier in its file was never trained, and stays behind.

    MAT-SED's has no clip branch, and no prototypes: it predicts features of its own. What it is
    good for is to be trained on; the pooling of its clips starts untrained.

    Raises:
        CheckpointError: lists what is missing, unexpected or of another shape.
    """
    tensors = {k: v for k, v in _translated(published, name).items() if "classifier." not in k}
    if "head.2.bias" not in tensors:
        raise CheckpointError(f"{name}: no masked model: head.2.bias missing; expected one")
    backbone, width = _backbone(tensors, name), len(tensors["head.2.bias"])
    has_branch = _has_branch(tensors)
    if has_branch and "branch.bias" not in tensors:
        raise CheckpointError(f"{name}: no masked model: branch.bias missing; expected one")
    prototypes = len(tensors["branch.bias"]) if has_branch else 0
    model = MaskedAudioModel(backbone, width, prototypes)
    return _filled(model, tensors, name, clip_branch=has_branch)


def import_detector(
    published: Mapping[str, Tensor],
    classes: tuple[str, ...],
    name: str,
    reading: DetectorSettings = PLAIN,
) -> DetectorModel:
    """A fine-tuned detector; `classes` are in the order of its outputs.

    Raises:
        CheckpointError: lists what is missing, unexpected or of another shape.
    """
    masked_only = ("head.", "mask_token")
    tensors = {
        k: v for k, v in _translated(published, name).items() if not k.startswith(masked_only)
    }
    return _filled(DetectorModel(_backbone(tensors, name), classes, reading), tensors, name)


def _translated(published: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    try:
        return translated(published)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error


def _has_branch(tensors: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(("branch.", "backbone.clip_pooling.")) for name in tensors)


def _backbone(tensors: Mapping[str, Tensor], name: str) -> Backbone:
    try:
        # What a file does not hold is the same in each conversion.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Backbone(settings_of(tensors))
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from error


def _filled(
    model: ModelT, tensors: dict[str, Tensor], name: str, *, clip_branch: bool = True
) -> ModelT:
    own = model.state_dict()
    kept = (".calibration.",) if clip_branch else (".calibration.", ".clip_pooling.")
    ours_alone = {k: v for k, v in own.items() if any(part in f".{k}" for part in kept)}
    projector = [k for k in own if k.endswith("projector.weight")]
    for weight in projector:  # MAT-SED has none where the widths agree: identity does the same
        bias = weight.replace("weight", "bias")
        is_square = own[weight].shape[0] == own[weight].shape[1]
        if is_square and weight not in tensors and bias not in tensors:
            ours_alone |= {weight: torch.eye(len(own[weight])), bias: torch.zeros_like(own[bias])}
    load_strictly(model, {**tensors, **ours_alone}, name)
    return model.eval()
