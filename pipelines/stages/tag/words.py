"""classify: events and scenes of recordings by the user's words, from tags of windows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.stages.tag.results import TagSet
from pipelines.stages.tag.settings import TagError
from pipelines.stages.tag.stage import Tagged
from pmam.tagging.events import FoundEvent, WordMap, events_of, no_tag_for, window_of
from pmam.tagging.scenes import Scenes, scenes_of
from pmam.tagging.sentences import Encodes, cleaned, similarities
from pmam.tagging.settings import WordSettings
from pmam.tagging.windows import WindowGrid

Floats = npt.NDArray[np.float32]
NEAREST = 3  # tags that are told of a word


@dataclass(frozen=True, kw_only=True)
class WordScores:
    """One word in the windows of a recording.

    Args:
        said: `(windows,)`, the highest probability of a tag that means the word and counts, or 0.
        heard: `(windows,)`, the same of all tags that mean it, whether they count or not.
        grid: which window stands for which time.
    """

    said: Floats
    heard: Floats
    grid: WindowGrid


@dataclass(frozen=True, kw_only=True)
class Classified:
    """What the words say of a recording.

    Args:
        recording: as it was tagged.
        words: of each event word, its windows.
        events: by onset, offset and label.
        scenes: None where none were asked for.
    """

    recording: Tagged
    words: Mapping[str, WordScores]
    events: tuple[FoundEvent, ...]
    scenes: Scenes | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        told: dict[str, Any] = {
            "file": self.recording.name,
            "duration_s": round(self.recording.end_s, 6),
        }
        if self.words:
            told["events"] = [
                {
                    "onset_s": round(each.event.onset_s, 6),
                    "offset_s": round(each.event.offset_s, 6),
                    "label": each.event.label,
                    "score": float(f"{each.score:.4g}"),
                }
                for each in self.events
            ]
        if self.scenes is not None:
            told["scenes"] = {
                "selected": _ranked(self.scenes.selected),
                "top5": _ranked(self.scenes.top5),
                "level1": list(self.scenes.level1),
            }
        return told


def told_meanings(meanings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which tags mean each word, a line for each, out of `Classifier.meanings`."""
    lines = []
    for each in meanings:
        tags = [f"{tag['tag']} {tag['similarity']:.2f}" for tag in each["tags"]]
        more = f" and {len(tags) - NEAREST} more" if len(tags) > NEAREST else ""
        lines.append(f"{each['word']!r} is meant by {'; '.join(tags[:NEAREST])}{more}")
    return lines


def _ranked(pairs: tuple[tuple[str, float], ...]) -> list[dict[str, Any]]:
    return [{"scene": scene, "score": float(f"{score:.4g}")} for scene, score in pairs]


def window_lengths(
    words: tuple[str, ...], scenes: tuple[str, ...], settings: WordSettings
) -> tuple[float, ...]:
    """The lengths of windows that must be tagged, sorted."""
    own = {window_of(word, settings.events, settings.tags) for word in words}
    return tuple(sorted(own | ({settings.tags.window_s} if scenes else set())))


class Classifier:
    """Words against tags, once; then any number of recordings.

    Args:
        model: of sentences.
        names: of the tagger's tags.
        words: that name events.
        scenes: that name scenes.
        settings: all rules.

    Raises:
        TagError: words that no tag means, or scenes that no tag is near; tells the nearest tags.
    """

    def __init__(
        self,
        model: Encodes,
        names: tuple[str, ...],
        words: tuple[str, ...],
        scenes: tuple[str, ...],
        settings: WordSettings,
    ) -> None:
        if not words and not scenes:
            raise TagError("no words: give --events, --scenes or both, with commas between")
        self.model, self.scenes, self.settings = model, scenes, settings
        self.map = WordMap.of(model, words, names, settings.events) if words else None
        if self.map is not None and (lacking := no_tag_for(self.map)):
            raise TagError(
                f"{lacking}; expected a similarity of at least {settings.events.similarity:g}: use "
                "other words, such as a tag's, or lower --event-rule.similarity"
            )
        if scenes:
            _check_scenes(model, names, scenes, settings)

    def meanings(self) -> list[dict[str, Any]]:
        """Which tags mean each word, with their similarity, the nearest first."""
        if self.map is None:
            return []
        found = []
        for word, cosines, means in zip(
            self.map.words, self.map.similarity, self.map.means, strict=True
        ):
            tags = sorted(np.flatnonzero(means), key=lambda n: (-cosines[n], n))
            found.append(
                {
                    "word": word,
                    "tags": [
                        {"tag": self.map.tags[n], "similarity": round(float(cosines[n]), 4)}
                        for n in tags
                    ],
                }
            )
        return found

    def classify(self, recording: Tagged, at: Mapping[float, TagSet]) -> Classified:
        """Events and scenes of a recording that was tagged with windows of each length."""
        words: dict[str, WordScores] = {}
        events: list[FoundEvent] = []
        tags = self.settings.tags
        scores = {length: of.scores(recording) for length, of in at.items()}
        if self.map is not None:
            said = {length: self.map.scores(each, tags) for length, each in scores.items()}
            for n, word in enumerate(self.map.words):
                length = window_of(word, self.settings.events, tags)
                of_word = scores[length]
                heard = of_word.probabilities[:, self.map.means[n]].max(axis=1)
                grid = of_word.grid
                words[word] = WordScores(said=said[length][:, n], heard=heard, grid=grid)
                events += events_of(words[word].said, word, grid, recording.end_s)
        events.sort(key=lambda e: (e.event.onset_s, e.event.offset_s, e.event.label))
        scenes = None
        if self.scenes:
            of_scenes = scores[tags.window_s]
            counts = of_scenes.counted(tags.top, tags.threshold).sum(axis=0)
            frequencies = {
                name: int(count) for name, count in zip(of_scenes.names, counts, strict=True)
            }
            scenes = scenes_of(self.model, frequencies, self.scenes, self.settings.scenes)
        return Classified(recording=recording, words=words, events=tuple(events), scenes=scenes)

    def classified(self, at: Mapping[float, TagSet]) -> Iterator[Classified]:
        """All recordings, in order."""
        for recording in next(iter(at.values())).recordings:
            yield self.classify(recording, at)


def _check_scenes(
    model: Encodes, names: tuple[str, ...], scenes: tuple[str, ...], settings: WordSettings
) -> None:
    """Refuse scenes that no tag by itself is near: no recording could ever be one of them."""
    near = similarities(model, [cleaned(s) for s in scenes], [cleaned(n) for n in names])
    lacking = []
    for scene, row in zip(scenes, near, strict=True):
        if row.max() < settings.scenes.scene:
            best = np.argsort(-row, kind="stable")[:NEAREST]
            told = ", ".join(f"{names[n]} {row[n]:.2f}" for n in best)
            lacking.append(f"{scene!r} (nearest: {told})")
    if lacking:
        raise TagError(
            f"no tag is near the scene {'; '.join(lacking)}; expected a similarity of at least "
            f"{settings.scenes.scene:g}: use other words, or lower --scene-rule.scene"
        )


class Remembering:
    """A model that encodes each text once: scenes and tags come again with every recording."""

    def __init__(self, model: Encodes) -> None:
        self._model = model
        self._known: dict[str, Floats] = {}

    def encode(self, texts: Any) -> Floats:
        """`(texts, width)`."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            self._known.update(zip(new, self._model.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])
