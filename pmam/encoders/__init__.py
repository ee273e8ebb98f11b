"""The frame encoders; to add one, write a file here and one line in `ENCODERS`."""

from collections.abc import Callable

from pmam.encoders.base import EncoderSettings, FrameEncoder
from pmam.encoders.efficientat import EfficientATEncoder
from pmam.encoders.small_cnn import SmallCNNEncoder

__all__ = ["ENCODERS", "EncoderSettings", "FrameEncoder", "build_encoder"]

ENCODERS: dict[str, Callable[[EncoderSettings], FrameEncoder]] = {
    "small_cnn": SmallCNNEncoder,
    "mn04": EfficientATEncoder.mn04,
    "mn10": EfficientATEncoder.mn10,
}


def build_encoder(settings: EncoderSettings) -> FrameEncoder:
    """The encoder that the settings name, without its weights or calibration."""
    if settings.name not in ENCODERS:
        raise ValueError(f"encoder {settings.name!r}: expected one of {', '.join(ENCODERS)}")
    return ENCODERS[settings.name](settings)
