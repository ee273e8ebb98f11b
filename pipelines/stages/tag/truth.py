"""What is true of the clips of a dataset, and how events and scenes by words agree with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.runtime.files.urls import open_dataset
from pipelines.stages.tag.settings import TagError
from pipelines.stages.tag.words import Classified
from pmam.metrics.intervals import Interval, bootstrap_interval, cluster_draws
from pmam.metrics.ranking.presence import Answers, confusion, intervals
from pmam.tagging.sentences import plain
from shards.errors import told
from shards.index import IndexRow

SCENE = "scene"  # in the metadata of clips


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The rows of clips, by dataset and key, and the datasets' classes."""

    rows: Mapping[tuple[str, str], IndexRow]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, found: Sequence[Classified]) -> "Truth":
        """What the datasets say of those recordings that are clips of one."""
        keys: dict[str, list[str]] = {}
        for each in found:
            if each.recording.key is not None:
                keys.setdefault(each.recording.url, []).append(each.recording.key)
        rows: dict[tuple[str, str], IndexRow] = {}
        classes: dict[str, None] = {}
        for url, of_url in keys.items():
            dataset = open_dataset(url)
            classes |= dict.fromkeys(dataset.manifest.classes or ())
            rows |= {(url, row.key): row for row in dataset.rows_of(of_url)}
        return cls(rows=rows, classes=tuple(classes))

    def row(self, each: Classified) -> IndexRow | None:
        """The row of a recording; None for a file."""
        if each.recording.key is None:
            return None
        return self.rows[each.recording.url, each.recording.key]

    def scene(self, each: Classified) -> str | None:
        """The scene of a recording, where it is known."""
        row = self.row(each)
        scene = None if row is None else row.meta.get(SCENE)
        return None if scene is None else str(scene)

    def scene_names(self) -> tuple[str, ...]:
        """All scenes of the clips, sorted."""
        scenes = (row.meta.get(SCENE) for row in self.rows.values())
        return tuple(sorted({str(scene) for scene in scenes if scene is not None}))


def named(
    words: Sequence[str], given: Sequence[str], known: Sequence[str], option: str
) -> dict[str, str]:
    """The dataset's own name of each word: as given, or the one of the same letters.

    Raises:
        TagError: as many names as there are no words, or names that the dataset does not have.
    """
    if given and len(given) != len(words):
        raise TagError(
            f"{option}: got {len(given)} names for {len(words)} words; expected one for each"
        )
    if unknown := [name for name in given if name not in known]:
        raise TagError(
            f"{option} {told(list(map(repr, unknown)))}: expected some of "
            f"{', '.join(known) or 'none, there are none'}"
        )
    if given:
        return dict(zip(words, given, strict=True))
    own = {plain(name): name for name in known}
    return {word: own[plain(word)] for word in words if plain(word) in own}


def named_scenes(
    words: Sequence[str], given: Sequence[str], known: Sequence[str]
) -> dict[str, str]:
    """The dataset's own name of each scene; one that no clip has is called by the word itself.

    Empty where none of them is a scene of the dataset.

    Raises:
        TagError: as many names as there are no words, or names of which no clip has any.
    """
    if not given:
        own = named(words, (), known, "")
        return {word: own.get(word, word) for word in words} if own else {}
    if known and not set(given) & set(known):
        raise TagError(f"--scene-labels {given[0]!r}: expected one of {', '.join(known)}")
    return named(words, given, (*known, *given), "--scene-labels")


@dataclass(frozen=True, kw_only=True)
class EventAnswers:
    """Events against truth: of whole clips, and of windows; and the word of each answer."""

    clips: Answers
    windows: Answers | None  # None where no clip tells times
    words: tuple[str, ...]
    word_of_clip: npt.NDArray[np.int64]
    word_of_window: npt.NDArray[np.int64]


def event_answers(
    found: Sequence[Classified], truth: Truth, labels: Mapping[str, str]
) -> EventAnswers | None:
    """Whether each word was said and is true of each clip, and of each window of a strong one.

    None where no clip tells of events.
    """
    of_clips: list[tuple[float, bool, bool, int, int]] = []
    of_windows: list[tuple[npt.NDArray[Any], ...]] = []
    words = tuple(labels)
    for number, each in enumerate(found):
        row = truth.row(each)
        if row is None or (row.events is None and row.weak is None):
            continue
        for n, word in enumerate(words):
            scores, label = each.words[word], labels[word]
            events = [event for event in row.events or () if event.label == label]
            present = bool(events) if row.events is not None else label in (row.weak or ())
            said = bool((scores.said > 0).any())
            of_clips.append((float(scores.heard.max()), said, present, number, n))
            if row.events is None:
                continue
            cells = [scores.grid.cell_s(k, each.recording.end_s) for k in range(len(scores.heard))]
            inside = np.array(
                [any(e.onset_s < b and a < e.offset_s for e in events) for a, b in cells], bool
            )
            count = len(cells)
            of_windows.append(
                (
                    scores.heard,
                    scores.said > 0,
                    inside,
                    np.full(count, number),
                    np.full(count, n),
                )
            )
    if not of_clips:
        return None
    clips = tuple(np.array(column) for column in zip(*of_clips, strict=True))
    windows = tuple(np.concatenate(column) for column in zip(*of_windows, strict=True))
    return EventAnswers(
        clips=_answers(*clips[:4]),
        windows=_answers(*windows[:4]) if windows else None,
        words=words,
        word_of_clip=clips[4],
        word_of_window=windows[4] if windows else np.zeros(0, np.int64),
    )


def _answers(
    scores: npt.NDArray[Any],
    said: npt.NDArray[Any],
    true: npt.NDArray[Any],
    clip: npt.NDArray[Any],
) -> Answers:
    _, dense = np.unique(clip, return_inverse=True)  # clips without truth are none here
    return Answers(
        scores=scores.astype(np.float64),
        said=said.astype(np.bool_),
        true=true.astype(np.bool_),
        clip=dense.astype(np.int64),
    )


@dataclass(frozen=True, kw_only=True)
class SceneAnswers:
    """Scenes against truth, by the dataset's own names.

    Args:
        names: all scenes that are asked for or true.
        true, best: `(n,)`, which of them each clip is, and is taken for; -1 for none.
        within: by rule, `(n,)` whether the true one is among what the rule gives.
        answers: each clip and scene asked for, said where it is in `level1`.
    """

    names: tuple[str, ...]
    true: npt.NDArray[np.int64]
    best: npt.NDArray[np.int64]
    within: Mapping[str, npt.NDArray[np.bool_]]
    answers: Answers


def scene_answers(
    found: Sequence[Classified], truth: Truth, labels: Mapping[str, str]
) -> SceneAnswers | None:
    """How the scenes of clips agree with their metadata; None where none has a scene."""
    known = [(each, scene) for each in found if (scene := truth.scene(each)) is not None]
    if not known or not labels:
        return None
    names = tuple(dict.fromkeys([*labels.values(), *sorted(scene for _, scene in known)]))
    place = {name: n for n, name in enumerate(names)}
    within: dict[str, list[bool]] = {"selected": [], "top5": [], "level1": []}
    true, best = [], []
    rows: list[tuple[float, bool, bool, int]] = []
    for number, (each, scene) in enumerate(known):
        assert each.scenes is not None
        lists = {
            "selected": [labels.get(s) for s, _ in each.scenes.selected],
            "top5": [labels.get(s) for s, _ in each.scenes.top5],
            "level1": [labels.get(s) for s in each.scenes.level1],
        }
        for rule, taken in lists.items():
            within[rule].append(scene in taken)
        first = lists["selected"][0] if lists["selected"] else None
        true.append(place[scene])
        best.append(-1 if first is None else place[first])
        rows += [
            (each.scenes.scores[word], label in lists["level1"], label == scene, number)
            for word, label in labels.items()
        ]
    scores, said, is_true, clip = (np.array(column) for column in zip(*rows, strict=True))
    return SceneAnswers(
        names=names,
        true=np.array(true),
        best=np.array(best),
        within={rule: np.array(found) for rule, found in within.items()},
        answers=_answers(scores, said, is_true, clip),
    )


def _told(interval: Interval) -> dict[str, float | None]:
    values = {"value": interval.value, "low_95": interval.low, "high_95": interval.high}
    return {name: None if np.isnan(value) else round(value, 6) for name, value in values.items()}


def numbers_of(
    events: EventAnswers | None, scenes: SceneAnswers | None, draws: int = 1000
) -> dict[str, Any]:
    """All numbers with their 95 % intervals over clips, as plain values."""
    numbers: dict[str, Any] = {}

    def group(answers: Answers) -> dict[str, Any]:
        return {name: _told(each) for name, each in intervals(answers, draws=draws).items()}

    if events is not None:
        numbers["events_in_clips"] = group(events.clips)
        numbers["of_words_in_clips"] = {
            word: group(_chosen(events.clips, events.word_of_clip == n))
            for n, word in enumerate(events.words)
        }
        if events.windows is not None:
            numbers["events_in_windows"] = group(events.windows)
            numbers["of_words_in_windows"] = {
                word: group(_chosen(events.windows, events.word_of_window == n))
                for n, word in enumerate(events.words)
            }
        counts = confusion(events.clips, np.ones(len(events.clips.scores)))
        numbers["confusion_in_clips"] = counts.astype(int).tolist()
    if scenes is not None:
        numbers["scenes"] = {
            rule: _told(
                bootstrap_interval(
                    lambda weights, right=right: _mean(weights, right),  # type: ignore[misc]
                    cluster_draws(range(len(right)), draws),
                )
            )
            for rule, right in scenes.within.items()
        }
        numbers["scene_answers"] = group(scenes.answers)
    return numbers


def _mean(weights: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    return float(weights @ right / weights.sum())


def _chosen(answers: Answers, chosen: npt.NDArray[np.bool_]) -> Answers:
    return _answers(
        answers.scores[chosen], answers.said[chosen], answers.true[chosen], answers.clip[chosen]
    )
