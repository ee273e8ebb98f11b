"""Which tagger is asked, and what a run's words are: no torch is loaded for it."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pmam.tagging.settings import DEFAULT_MODEL, EventRule, TagSettings, words_of


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


@dataclass(frozen=True, kw_only=True)
class WordLabelSettings:
    """Words that label training clips instead of people."""

    # Words to look for, with commas between: 'dog barking, car horn'; they become the classes.
    events: str | None = None
    # The dataset's own label for each word, with commas between; by default the label of the same
    # letters, or the word.
    labels: str | None = None
    # What the words say of a clip: strong (events with the times of their windows) or weak (that
    # they sound somewhere in it).
    kind: Literal["strong", "weak"] = "weak"
    # Tagger that is asked; without weights of its own it has those of the encoder of the same name.
    tagger: TaggerSettings = field(default_factory=TaggerSettings)
    # Windows, and which of their tags count.
    tags: TagSettings = field(default_factory=TagSettings)
    # Rule by which tags mean a word.
    rule: EventRule = field(default_factory=EventRule)
    # Sentence model: path of its folder, or its name, which is looked up in Hugging Face's cache
    # and else downloaded (HF_HUB_OFFLINE=1: not).
    sentences: str = DEFAULT_MODEL

    def words(self) -> tuple[str, ...]:
        """The words to look for.

        Raises:
            TagError, InputError: none, or an empty one.
        """
        if self.events is None:
            raise TagError(
                "no words: give --words.events with commas between, such as 'dog barking, car horn'"
            )
        return words_of(self.events, "--words.events")
