"""Clips that are too much alike to be in different parts of a dataset."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.clip import TRAINING_SUBSETS
from shards.columns import Bools, Ints, bools, one_piece, texts
from shards.index import IndexRow
from shards.label_columns import Coded
from shards.rows import table_of

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


def duplicates(
    rows: Iterable[IndexRow], contents: pa.Array | Sequence[str | None]
) -> list[SimilarClips]:
    """Groups of clips with the same decoded samples, or, where none could be decoded, bytes.

    Args:
        rows: of the index.
        contents: the checksum of the samples of each row; None where there is none, and empty
            for clips that hold nothing but zeros, which are all alike.
    """
    table = table_of(rows)
    content = pa.array(contents, pa.string())
    if content.null_count:
        of_bytes = pc.binary_join_element_wise("bytes", one_piece(table["checksum"]), " ")
        content = pc.if_else(content.is_valid(), content, of_bytes)
    heard = np.flatnonzero(bools(pc.not_equal(content, "")))
    # Equal texts have equal hashes, and few others do: 8 bytes a clip tell which to compare.
    hashes = np.fromiter(map(hash, texts(content)), np.int64, len(content))[heard]
    _, codes, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    places = heard[counts[codes] > 1]
    sound = Coded.of(content.take(pa.array(places)))
    chosen = np.bincount(sound.codes, minlength=1)[sound.codes] > 1
    return _groups(table, sound, places, chosen)


def shared_recordings(rows: Iterable[IndexRow]) -> list[SimilarClips]:
    """Source recordings with clips in more than one subset or fold."""
    table = table_of(rows)
    recordings = Coded.of(table["recording"])
    subsets, folds = Coded.of(table["subset"]), Coded.of(table["fold"])
    part = subsets.codes * (len(folds) + 1) + folds.codes + 1
    known = recordings.codes >= 0
    parts = len(subsets) * (len(folds) + 1)
    several = np.unique(recordings.codes[known] * parts + part[known])
    counts = np.bincount(several // max(1, parts), minlength=len(recordings) + 1)
    chosen = known & (counts[recordings.codes] > 1)
    return _groups(table, recordings, np.arange(len(table)), chosen)


def _groups(table: pa.Table, coded: Coded, places: Ints, chosen: Bools) -> list[SimilarClips]:
    """The groups of the chosen ones of the clips at some places, which are coded, by name."""
    clips = table.select(["source_id", "subset", "fold"]).take(pa.array(places[chosen]))
    members: dict[int, list[tuple[str, str, int | None]]] = defaultdict(list)
    columns = (clips[name].to_pylist() for name in clips.column_names)
    for code, clip in zip(coded.codes[chosen].tolist(), zip(*columns, strict=True), strict=True):
        members[code].append(clip)
    found = [(coded.name(code), of_code) for code, of_code in members.items()]
    return [_group(of, of_code) for of, of_code in sorted(found, key=itemgetter(0))]


def _group(of: str, clips: Sequence[tuple[str, str, int | None]]) -> SimilarClips:
    parts = {(subset, fold) for _, subset, fold in clips}
    return SimilarClips(
        of=of,
        clips=tuple(source_id for source_id, _, _ in clips),
        subsets=tuple(sorted({subset for subset, _ in parts})),
        leaks=any(_leak(*pair) for pair in combinations(parts, 2)),
    )


def _leak(one: tuple[str, int | None], other: tuple[str, int | None]) -> bool:
    """Whether a detector may be trained on one part and judged, or chosen, on the other."""
    (subset, fold), (other_subset, other_fold) = one, other
    if fold is not None and other_fold is not None and fold != other_fold:
        return True
    training = TRAINED.issuperset({subset, other_subset})
    return subset != other_subset and not training
