"""The frame encoders by name; to add one, write a file here and one line in `ENCODERS`.

What is particular to an encoder (its published weights, its groups of parameters, its limits)
stands in its own file. Its licence is told by `pipelines/report/model_card.py`; what
`pmam checkpoint` knows a file by stands in `pmam/models/importers/detect_format.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pmam.deferred import Deferred
from pmam.encoders.published import PublishedFile
from pmam.encoders.settings import EncoderSettings
from pmam.errors import InputError

if TYPE_CHECKING:
    from pmam.encoders.base import FrameEncoder

ENCODERS: dict[str, Callable[[EncoderSettings], FrameEncoder]] = {
    "small_cnn": Deferred("pmam.encoders.small_cnn:SmallCNNEncoder"),
    "mn04": Deferred("pmam.encoders.efficientat:MN04Encoder"),
    "mn10": Deferred("pmam.encoders.efficientat:MN10Encoder"),
    "cnn": Deferred("pmam.encoders.cnn:CNNEncoder"),
    "passt": Deferred("pmam.encoders.passt.encoder:PaSSTEncoder"),
    "passt_cnn": Deferred("pmam.encoders.passt.with_cnn:PaSSTCNNEncoder"),
    "m2d": Deferred("pmam.encoders.m2d.encoder:M2DEncoder"),
    "m2d_608": Deferred("pmam.encoders.m2d.encoder:M2D608Encoder"),
    "m2d_40ms": Deferred("pmam.encoders.m2d.encoder:M2D40msEncoder"),
}


def build_encoder(settings: EncoderSettings) -> FrameEncoder:
    """The encoder that the settings name, without published weights or calibration.

    A pure function of the settings: what is trained from scratch starts from their seed.

    Raises:
        InputError: no such encoder, or settings that it does not take.
    """
    import torch

    if settings.name not in ENCODERS:
        raise InputError(f"encoder {settings.name!r}: expected one of {', '.join(ENCODERS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        encoder = ENCODERS[settings.name](settings)
    if (
        settings.transformer_layer != EncoderSettings.transformer_layer
        and not encoder.has_transformer
    ):
        raise InputError(
            f"transformer_layer {settings.transformer_layer}: encoder {settings.name} has no "
            "transformer; leave it unset"
        )
    return encoder


def published_weights() -> Mapping[str, tuple[PublishedFile, ...]]:
    """The files that each encoder can start from, by its name: first the one it takes by itself.

    Encoders that are trained from scratch are not among them.
    """
    found = {}
    for name, entry in ENCODERS.items():
        kind: Any = entry.target if isinstance(entry, Deferred) else entry
        if (file := getattr(kind, "published", None)) is not None:
            found[name] = (file, *kind.also_published)
    return found
