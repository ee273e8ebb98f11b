"""From tags of windows to scenes: TMRL's rule for blind classification of acoustic scenes.

Tags that mean much the same are merged, the most frequent groups kept, and each of them compared
with the words of all scenes.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.tagging.sentences import Encodes, cleaned, similarities
from pmam.tagging.settings import SceneRule

Floats = npt.NDArray[np.float32]
SILENCE = "Silence"
BELOW_RANK = 3  # of scores, where equal ones leave no scene among the first


@dataclass(frozen=True, kw_only=True)
class TagGroup:
    """A tag with those that it has taken in, and in how many windows they are."""

    tags: tuple[str, ...]
    frequency: float

    @property
    def text(self) -> str:
        """What is compared with scenes."""
        return cleaned(", ".join(self.tags))


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Scenes of one recording, the best first.

    Args:
        selected: by frequency times similarity, with that sum.
        top5: by frequency alone, with that sum.
        level1: the best of both.
        scores: of all scenes, by frequency times similarity; 0 for what no group speaks for.
    """

    selected: tuple[tuple[str, float], ...]
    top5: tuple[tuple[str, float], ...]
    level1: tuple[str, ...]
    scores: Mapping[str, float]


def merged(frequencies: Mapping[str, int], near: Floats, rule: SceneRule) -> list[TagGroup]:
    """Groups of tags, a group for each tag, in alphabetical order.

    A tag takes in those that come after it and are near enough, with the windows that they had
    before. Silence is left out.

    Args:
        frequencies: in how many windows each tag is.
        near: similarities of the tags in alphabetical order, without silence, `(tags, tags)`.
        rule: from which similarity on; a similarity of 1 is a tag's own.
    """
    tags = _heard(frequencies)
    groups = []
    for n, tag in enumerate(tags):
        taken = [tag]
        for m in range(n + 1, len(tags)):
            cosine = near[n, m]
            enough = cosine >= rule.merge if rule.inclusive else cosine > rule.merge
            if enough and cosine < 1:
                taken.append(tags[m])
        total = float(sum(frequencies[each] for each in taken))
        groups.append(TagGroup(tags=tuple(taken), frequency=total))
    return groups


def _heard(frequencies: Mapping[str, int]) -> list[str]:
    return sorted(tag for tag, count in frequencies.items() if tag != SILENCE and count > 0)


def ranks(scores: Sequence[float]) -> npt.NDArray[np.float64]:
    """Ranks from 1 for the highest; equal scores share the mean of theirs."""
    from scipy.stats import rankdata  # the slowest part of scipy to load

    found: npt.NDArray[np.float64] = rankdata(-np.asarray(scores, np.float64), method="average")
    return found


def kept(groups: Sequence[TagGroup], rule: SceneRule) -> list[TagGroup]:
    """The most frequent groups, as the rule says."""
    if not groups:
        return []
    if rule.rank_below is not None:
        of = ranks([group.frequency for group in groups])
        groups = [group for group, rank in zip(groups, of, strict=True) if rank < rule.rank_below]
    if rule.most_groups is not None:
        by_frequency = sorted(groups, key=lambda group: -group.frequency)  # stable
        groups = by_frequency[: rule.most_groups]
    return list(groups)


def scenes_of(
    model: Encodes, frequencies: Mapping[str, int], scenes: Sequence[str], rule: SceneRule
) -> Scenes:
    """The scenes of a recording, from how many of its windows have each tag.

    Where no group is near any scene, all answers are empty.
    """
    tags = _heard(frequencies)
    if not tags:
        return _ranked({}, {}, scenes, rule)
    groups = kept(merged(frequencies, similarities(model, tags, tags), rule), rule)
    names = [cleaned(scene) for scene in scenes]
    near = similarities(model, [group.text for group in groups], names)
    return from_similarities(groups, near, scenes, rule)


def from_similarities(
    groups: Sequence[TagGroup], near: Floats, scenes: Sequence[str], rule: SceneRule
) -> Scenes:
    """The scenes of groups of tags, by their similarity `(groups, scenes)` to each scene."""
    frequency: dict[str, list[float]] = defaultdict(list)
    weighted: dict[str, list[float]] = defaultdict(list)
    for group, row in zip(groups, near, strict=True):
        for scene, cosine in zip(scenes, row, strict=True):
            if cosine >= rule.scene if rule.inclusive else cosine > rule.scene:
                frequency[scene].append(group.frequency)
                weighted[scene].append(group.frequency * float(cosine))

    # Exact sums: scenes of the same parts in another order are equal, and share a rank.
    def sums(parts: Mapping[str, list[float]]) -> dict[str, float]:
        return {
            scene: math.fsum(set(each) if rule.distinct else each) for scene, each in parts.items()
        }

    return _ranked(sums(frequency), sums(weighted), scenes, rule)


def _ranked(
    frequency: Mapping[str, float],
    weighted: Mapping[str, float],
    scenes: Sequence[str],
    rule: SceneRule,
) -> Scenes:
    """By rank; where all of the highest frequency share too high a rank, the two highest sums."""

    def within(scores: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
        of = dict(zip(scores, ranks(list(scores.values())), strict=True)) if scores else {}
        chosen = [scene for scene in scores if of[scene] <= rule.top]
        return tuple(sorted(((s, scores[s]) for s in chosen), key=lambda pair: -pair[1]))

    selected, top5 = within(weighted), within(frequency)
    if frequency and not top5:
        highest = sorted(set(frequency.values()), reverse=True)[: BELOW_RANK - 1]
        chosen = [(scene, each) for scene, each in frequency.items() if each in highest]
        top5 = tuple(sorted(chosen, key=lambda pair: -pair[1]))
    best = [scene for scene, score in top5 if score == top5[0][1]]
    best += [scene for scene, score in selected if score == selected[0][1]]
    return Scenes(
        selected=selected,
        top5=top5,
        level1=tuple(dict.fromkeys(best)),
        scores={scene: weighted.get(scene, 0.0) for scene in scenes},
    )
