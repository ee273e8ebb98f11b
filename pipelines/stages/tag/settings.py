"""Which tagger is asked: a network, its weights, the names of its outputs."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pmam.tagging.settings import TagSettings


class TagError(PipelineError):
    """Recordings or settings that cannot be tagged; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class TaggerSettings:
    """The tagger."""

    # Network that tags: m2d (ViT-B, 86 M parameters), mn04 or mn10 (EfficientAT, 1 and 5 M), passt.
    encoder: Literal["m2d", "mn04", "mn10", "passt"] = "mn04"
    # Weights of the tagger with their head: name, path or URL; by default the encoder's own
    # AudioSet ones.
    weights: str | None = None
    # Text with the name of an output of the tagger a line; by default AudioSet's 527.
    classes: str | None = None


@dataclass(frozen=True, kw_only=True)
class TagStageSettings:
    """What identifies tags, beside recordings and weights."""

    encoder: str = "mn04"
    tags: TagSettings = field(default_factory=TagSettings)
