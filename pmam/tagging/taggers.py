"""The taggers by name; to add one, write a class here or elsewhere and one line in `TAGGERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.encoders.efficientat import MobileNet, MobileNetSettings, from_published
from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.encoders.log_mel_encoder import FRONTEND
from pmam.encoders.passt.state_dict_names import passt_tensors, under, without_wrapper
from pmam.encoders.passt.transformer import PaSST, PaSSTSettings
from pmam.errors import InputError
from pmam.models.state_dict import StateDictError, load_fitting
from pmam.tagging.classes import Order


@dataclass(frozen=True, kw_only=True)
class Tagger:
    """A network with a tagging head, and what must be known of it.

    Args:
        network: waveforms `(B, samples)` to logits `(B, classes)`, in evaluation mode.
        rate_hz: of the waveforms.
        classes: how many outputs it has.
        order: of AudioSet's classes in its outputs.
        most_s: the longest waveform that it takes, if there is a limit.
    """

    network: nn.Module
    rate_hz: int
    classes: int
    order: Order = "rows"
    most_s: float | None = None

    @torch.inference_mode()
    def logits(self, waveform: Tensor) -> Tensor:
        """`(B, samples)` to `(B, classes)`."""
        logits: Tensor = self.network(waveform)
        return logits

    def check_window(self, window_s: float) -> None:
        """Refuse windows that it cannot take.

        Raises:
            InputError: as said.
        """
        if self.most_s is not None and window_s > self.most_s:
            raise InputError(
                f"windows of {window_s:g} s: this tagger takes at most {self.most_s:g} s at a "
                "time; set --window-s to that or less"
            )


class EfficientATTagger(nn.Module):
    """EfficientAT as published: log-mel of 32 kHz audio, then MobileNetV3 with its head."""

    def __init__(self, width: float, classes: int) -> None:
        super().__init__()
        self.frontend = LogMel(LogMelSettings())
        self.network = MobileNet(MobileNetSettings(width=width, classes=classes))

    def forward(self, waveform: Tensor) -> Tensor:
        """`(B, samples)` to logits `(B, classes)`."""
        logits: Tensor = self.network(self.frontend(waveform))
        return logits


class PaSSTTagger(nn.Module):
    """PaSST as published: its head reads the mean of the tokens of class and distillation."""

    def __init__(self, size: PaSSTSettings, classes: int) -> None:
        super().__init__()
        self.frontend = LogMel(FRONTEND)
        self.passt = PaSST(size)
        self.head = nn.Sequential(nn.LayerNorm(size.width), nn.Linear(size.width, classes))

    def forward(self, waveform: Tensor) -> Tensor:
        """`(B, samples)` to logits `(B, classes)`."""
        (tokens,) = self.passt.layers(self.frontend(waveform), (len(self.passt.blocks),))
        logits: Tensor = self.head(self.passt.norm(tokens[:, :2]).mean(dim=1))
        return logits


def _outputs(published: Mapping[str, Tensor], name: str) -> int:
    if name not in published:
        raise InputError(
            f"no tagging head ({name} is missing); expected weights that were trained on AudioSet "
            "tags, with their head"
        )
    return len(published[name])


def mn(published: Mapping[str, Tensor], width: float) -> Tagger:
    """An EfficientAT of a width."""
    classes = _outputs(published, "classifier.5.bias")
    tagger = EfficientATTagger(width, classes)
    load_fitting(tagger.network, from_published(dict(published)))
    frontend = tagger.frontend.settings
    return Tagger(network=tagger.eval(), rate_hz=frontend.sample_rate_hz, classes=classes)


def mn04(published: Mapping[str, Tensor]) -> Tagger:
    """EfficientAT's `mn04_as`."""
    return mn(published, 0.4)


def mn10(published: Mapping[str, Tensor]) -> Tagger:
    """EfficientAT's `mn10_as`."""
    return mn(published, 1.0)


def passt(published: Mapping[str, Tensor]) -> Tagger:
    """PaSST, windows of at most ten seconds."""
    plain = without_wrapper(published)
    plain = under(plain, "backbone.") or plain
    classes = _outputs(plain, "head.1.bias")
    size = PaSSTSettings()
    tagger = PaSSTTagger(size, classes)
    load_fitting(tagger.passt, passt_tensors(plain))
    load_fitting(tagger.head, under(plain, "head."))
    return Tagger(
        network=tagger.eval(),
        rate_hz=FRONTEND.sample_rate_hz,
        classes=classes,
        most_s=tagger.passt.most_frames * FRONTEND.hop_s,
    )


def m2d(published: Mapping[str, Tensor]) -> Tagger:
    """M2D that was fine-tuned on AudioSet, with the input size that the file has."""
    from pmam.encoders.m2d.encoder import SIZES, encoder_for
    from pmam.encoders.m2d.head import M2DTagger
    from pmam.encoders.m2d.state_dict_names import encoder_tensors

    found = encoder_for(encoder_tensors(published))
    if found is None:
        raise StateDictError("tensors do not fit M2D: no patch embedding, or positions of no size")
    network = M2DTagger.of_published(published, SIZES[found])
    outputs = network.head.linear.out_features
    return Tagger(network=network, rate_hz=network.sample_rate_hz, classes=outputs, order="ids")


TAGGERS: dict[str, Callable[[Mapping[str, Tensor]], Tagger]] = {
    "m2d": m2d,
    "mn04": mn04,
    "mn10": mn10,
    "passt": passt,
}


def build_tagger(name: str, published: Mapping[str, Tensor], file: str) -> Tagger:
    """The tagger of a name with the weights of a file.

    Raises:
        InputError: no such tagger, or a file of another network or head; names the file.
    """
    if name not in TAGGERS:
        raise InputError(f"tagger {name!r}: expected one of {', '.join(TAGGERS)}")
    try:
        return TAGGERS[name](published)
    except InputError as error:
        raise InputError(f"{file}: {error}; give the weights of a tagger {name}") from error
