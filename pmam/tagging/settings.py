"""What can be chosen of tags and words; `PUBLISHED` and `PUBLISHED_OLDER` are TMRL's choices."""

import math
from dataclasses import dataclass, field
from typing import Literal

from pmam.errors import InputError

DEFAULT_MODEL = "all-mpnet-base-v2"  # of sentences

Probabilities = Literal["sigmoid", "softmax"]


@dataclass(frozen=True, kw_only=True)
class TagSettings:
    """From recordings to tags of windows."""

    # Length of the windows that are tagged.
    window_s: float = 4.0
    # Distance between the middles of neighbouring windows.
    hop_s: float = 1.0
    # Shortest length that the tagger hears: shorter windows are repeated up to it.
    least_s: float = 4.0
    # Largest number of tags of a window that count.
    top: int = 20
    # Lowest probability at which a tag counts.
    threshold: float = 0.1
    # How logits become probabilities: sigmoid for taggers that tell several tags at a time.
    probabilities: Probabilities = "sigmoid"
    # Signal-to-noise ratio in dB of white noise that is added first; by default none.
    noise: float | None = None
    # Factor of the published code's noise, which is about zero whatever the factor.
    published_noise: float | None = None
    # Windows as the published code cuts them: at 44.1 kHz, whatever the rate of the samples.
    published_windows: bool = False
    # Random seed of the noise.
    seed: int = 0

    def __post_init__(self) -> None:
        lengths = (self.window_s, self.hop_s)
        if not all(0 < length < math.inf for length in lengths) or self.least_s < 0:
            raise InputError(
                f"windows of {self.window_s:g} s every {self.hop_s:g} s, at least "
                f"{self.least_s:g} s: expected positive numbers"
            )
        if self.top < 1 or not 0 <= self.threshold <= 1:
            raise InputError(
                f"the {self.top} highest tags from {self.threshold:g} on: expected at least 1, "
                "and a probability"
            )
        if self.noise is not None and self.published_noise is not None:
            raise InputError("noise by a ratio and as published: give one of the two")


@dataclass(frozen=True, kw_only=True)
class EventRule:
    """Which tags mean a word that the user looks for."""

    # Lowest similarity of a tag and a word at which the tag means the word.
    similarity: float = 0.5
    # Whether a tag that contains the word means it too, whatever their similarity.
    contained: bool = True
    # Whether a tag means one word alone, the last one of those that it could mean.
    one_word: bool = False
    # Length of the windows for words that need another one than `window_s`.
    windows: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SceneRule:
    """How tags become scenes."""

    # Similarity from which a tag takes the windows of a later one (by alphabet) for its own.
    merge: float = 0.6
    # Whether a similarity of exactly `merge`, or `scene`, is enough.
    inclusive: bool = True
    # Rank below which groups of tags are kept, 1 being the most frequent.
    rank_below: float | None = 3.0
    # Largest number of groups of tags that are kept, the most frequent ones.
    most_groups: int | None = None
    # Lowest similarity of a group of tags and a scene at which the group speaks for it.
    scene: float = 0.1
    # Largest number of scenes in `selected` and `top5`.
    top: int = 5
    # Whether groups of equal weight count once for a scene.
    distinct: bool = False


@dataclass(frozen=True, kw_only=True)
class WordSettings:
    """Tags, events and scenes together."""

    tags: TagSettings = field(default_factory=TagSettings)
    events: EventRule = field(default_factory=EventRule)
    scenes: SceneRule = field(default_factory=SceneRule)


# Median durations in TMRL's list of events; other words, and scenes, have the baby's.
PUBLISHED_WINDOWS = {"gunshot": 1.9964172334999999, "glassbreak": 1.125, "babycry": 8.290385488}
PUBLISHED = WordSettings(
    tags=TagSettings(
        window_s=PUBLISHED_WINDOWS["babycry"],
        threshold=0.0,
        probabilities="softmax",
        published_windows=True,
    ),
    events=EventRule(one_word=True, windows=PUBLISHED_WINDOWS),
    scenes=SceneRule(distinct=True),
)
# The version before, of separate scripts for events and for scenes.
PUBLISHED_OLDER = WordSettings(
    tags=PUBLISHED.tags,
    events=EventRule(contained=False, one_word=True, windows=PUBLISHED_WINDOWS),
    scenes=SceneRule(
        merge=0.5, inclusive=False, rank_below=None, most_groups=5, scene=0.2, distinct=True
    ),
)
PRESETS = {"tmrl-published": PUBLISHED, "tmrl-published-older": PUBLISHED_OLDER}


def words_of(text: str, what: str) -> tuple[str, ...]:
    """Words that a user types, with commas between; each once.

    Raises:
        InputError: an empty word, or none at all.
    """
    words = [part.strip() for part in text.split(",")]
    if not all(words):
        raise InputError(
            f"{what} {text!r}: got an empty word; expected words with commas between, such as "
            "'dog barking, car horn'"
        )
    return tuple(dict.fromkeys(words))
