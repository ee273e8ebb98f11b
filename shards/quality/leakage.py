"""Clips that are too much alike to be in different parts of a dataset."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from shards.clip import TRAINING_SUBSETS
from shards.index import IndexRow

# Others may call all of them `train`.
TRAINED = frozenset({*TRAINING_SUBSETS, "train"})


@dataclass(frozen=True, kw_only=True)
class SimilarClips:
    """Clips, by source id, that share their audio or their source recording.

    `leaks` says that they are in subsets or folds which evaluation sets against each other.
    """

    of: str  # the recording, or the checksum of the audio
    clips: tuple[str, ...]
    subsets: tuple[str, ...]
    leaks: bool


def duplicates(rows: Sequence[IndexRow], contents: Iterable[str | None]) -> list[SimilarClips]:
    """Groups of clips with the same decoded samples, or, where none could be decoded, bytes.

    Args:
        rows: of the index.
        contents: the checksum of the samples of each row; None where there is none, and empty
            for clips that hold nothing but zeros, which are all alike.
    """
    groups: dict[str, list[IndexRow]] = defaultdict(list)
    for row, content in zip(rows, contents, strict=True):
        if content != "":
            groups[content or f"bytes {row.checksum}"].append(row)
    return [_group(of, clips) for of, clips in sorted(groups.items()) if len(clips) > 1]


def shared_recordings(rows: Iterable[IndexRow]) -> list[SimilarClips]:
    """Source recordings with clips in more than one subset or fold."""
    groups: dict[str, list[IndexRow]] = defaultdict(list)
    for row in rows:
        if row.recording is not None:
            groups[row.recording].append(row)
    return [
        _group(of, clips)
        for of, clips in sorted(groups.items())
        if len({(row.subset, row.fold) for row in clips}) > 1
    ]


def _group(of: str, clips: Sequence[IndexRow]) -> SimilarClips:
    parts = {(row.subset, row.fold) for row in clips}
    return SimilarClips(
        of=of,
        clips=tuple(row.source_id for row in clips),
        subsets=tuple(sorted({row.subset for row in clips})),
        leaks=any(_leak(*pair) for pair in combinations(parts, 2)),
    )


def _leak(one: tuple[str, int | None], other: tuple[str, int | None]) -> bool:
    """Whether a detector may be trained on one part and judged, or chosen, on the other."""
    (subset, fold), (other_subset, other_fold) = one, other
    if fold is not None and other_fold is not None and fold != other_fold:
        return True
    training = TRAINED.issuperset({subset, other_subset})
    return subset != other_subset and not training
