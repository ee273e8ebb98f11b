"""The frame encoders; to add one, write a file here and one line in `ENCODERS`."""

from collections.abc import Callable

import torch

from pmam.encoders.base import Encoded, EncoderSettings, FrameEncoder
from pmam.encoders.cnn import CNNEncoder
from pmam.encoders.efficientat import EfficientATEncoder
from pmam.encoders.passt.encoder import PaSSTEncoder
from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.small_cnn import SmallCNNEncoder

__all__ = ["ENCODERS", "Encoded", "EncoderSettings", "FrameEncoder", "build_encoder"]

ENCODERS: dict[str, Callable[[EncoderSettings], FrameEncoder]] = {
    "small_cnn": SmallCNNEncoder,
    "mn04": EfficientATEncoder.mn04,
    "mn10": EfficientATEncoder.mn10,
    "cnn": CNNEncoder,
    "passt": PaSSTEncoder,
    "passt_cnn": PaSSTCNNEncoder,
}


def build_encoder(settings: EncoderSettings) -> FrameEncoder:
    """The encoder that the settings name, without published weights or calibration.

    A pure function of the settings: what is trained from scratch starts from their seed.
    """
    if settings.name not in ENCODERS:
        raise ValueError(f"encoder {settings.name!r}: expected one of {', '.join(ENCODERS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        encoder = ENCODERS[settings.name](settings)
    if settings.transformer_layer != EncoderSettings.transformer_layer and not isinstance(
        encoder, PaSSTEncoder
    ):
        raise ValueError(
            f"transformer_layer {settings.transformer_layer}: encoder {settings.name} has no "
            "transformer; leave it unset"
        )
    return encoder
