"""From tags of windows to the words of the user, and to events with times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.events.event import Event
from pmam.tagging.sentences import Encodes, cleaned, plain, similarities
from pmam.tagging.settings import EventRule, Probabilities, TagSettings
from pmam.tagging.windows import WindowGrid

Floats = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]


def tag_probabilities(logits: Floats, kind: Probabilities) -> Floats:
    """Logits `(..., tags)` as probabilities: of each tag by itself, or of one of all."""
    wide = logits.astype(np.float64)
    if kind == "sigmoid":
        each: Floats = (1 / (1 + np.exp(-wide))).astype(np.float32)
        return each
    shifted = np.exp(wide - wide.max(axis=-1, keepdims=True))
    together: Floats = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return together


@dataclass(frozen=True, kw_only=True)
class TagScores:
    """The tags of a recording's windows.

    Args:
        probabilities: `(windows, tags)`.
        names: of the tags.
        grid: which window stands for which time.
        end_s: where the recording ends.
    """

    probabilities: Floats
    names: tuple[str, ...]
    grid: WindowGrid
    end_s: float

    def counted(self, top: int, threshold: float) -> Booleans:
        """Which tags of which windows count: the `top` highest, from the threshold on.

        Of equal ones those of lower number come first. `(windows, tags)`.
        """
        ranked = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :top]
        highest = np.zeros(self.probabilities.shape, np.bool_)
        np.put_along_axis(highest, ranked, True, axis=1)
        return highest & (self.probabilities >= threshold)


@dataclass(frozen=True, kw_only=True)
class WordMap:
    """Which tags mean which words.

    Args:
        words: the user's.
        tags: names of the tagger's.
        similarity: `(words, tags)` cosines.
        means: `(words, tags)`.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    similarity: Floats
    means: Booleans

    @classmethod
    def of(
        cls, model: Encodes, words: Sequence[str], tags: Sequence[str], rule: EventRule
    ) -> "WordMap":
        """By similarity, and by words inside tags, as the rule says."""
        texts, names = [cleaned(word) for word in words], [cleaned(tag) for tag in tags]
        cosines = similarities(model, texts, names)
        means = cosines >= rule.similarity
        if rule.contained:
            means |= np.array([[word in tag for tag in names] for word in texts])
        if rule.one_word:
            later = np.cumsum(means[::-1], axis=0)[::-1] > 1  # a later word means it too
            means = means & ~later
        return cls(words=tuple(words), tags=tuple(tags), similarity=cosines, means=means)

    def nearest(self, word: str, count: int = 3) -> list[tuple[str, float]]:
        """The tags that are nearest to a word, with their similarity."""
        row = self.similarity[self.words.index(word)]
        return [(self.tags[n], float(row[n])) for n in np.argsort(-row, kind="stable")[:count]]

    def without_tags(self) -> tuple[str, ...]:
        """The words that no tag means."""
        pairs = zip(self.words, self.means, strict=True)
        return tuple(word for word, row in pairs if not row.any())

    def scores(self, tags: TagScores, settings: TagSettings) -> Floats:
        """Of each window and word the highest probability of a tag that means it.

        Tags that do not count are 0: `(windows, words)`.
        """
        counted = tags.probabilities * tags.counted(settings.top, settings.threshold)
        columns = [
            counted[:, row].max(axis=1, initial=0.0) if row.any() else np.zeros(len(counted))
            for row in self.means
        ]
        return np.stack(columns, axis=1).astype(np.float32)


def no_tag_for(words: WordMap) -> str | None:
    """What to tell of words that no tag means; None where there are none."""
    lacking = words.without_tags()
    if not lacking:
        return None
    told = []
    for word in lacking:
        near = ", ".join(f"{tag} {cosine:.2f}" for tag, cosine in words.nearest(word))
        told.append(f"{word!r} (nearest: {near})")
    return f"no tag means {'; '.join(told)}"


def window_of(word: str, rule: EventRule, settings: TagSettings) -> float:
    """The length of the windows in which a word is looked for."""
    own = {plain(name): length for name, length in rule.windows.items()}
    return own.get(plain(word), settings.window_s)


@dataclass(frozen=True, kw_only=True)
class FoundEvent:
    """An event, and the highest score of its windows."""

    event: Event
    score: float


def events_of(scores: Floats, word: str, grid: WindowGrid, end_s: float) -> list[FoundEvent]:
    """Events of one word: neighbouring windows whose score is above 0 are one event.

    Args:
        scores: `(windows,)`.
        word: the label of the events.
        grid: which window stands for which time.
        end_s: where the recording ends.
    """
    edges = np.diff(np.concatenate([[0], (scores > 0).astype(np.int8), [0]]))
    found = []
    for first, after in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        onset_s, offset_s = grid.cell_s(int(first), end_s)[0], grid.cell_s(int(after) - 1, end_s)[1]
        if onset_s < offset_s:
            event = Event(onset_s=onset_s, offset_s=offset_s, label=word)
            found.append(FoundEvent(event=event, score=float(scores[first:after].max())))
    return found
