"""Agreement of clusters and labels, against scikit-learn."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from pmam.metrics.clustering import LabelOverlap, normalised_mutual_information

KINDS = [(), ("cat",), ("dog",), ("cat", "dog")]


def overlap(frames: list[tuple[int, int]]) -> LabelOverlap:
    found = LabelOverlap()
    kinds, clusters = np.array(frames, np.int64).reshape(-1, 2).T
    found.add(KINDS, kinds, clusters)
    return found


FRAMES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=60)


@given(FRAMES)
def test_mutual_information_is_scikit_learns(frames: list[tuple[int, int]]) -> None:
    found = overlap(frames)
    truth, clusters = zip(*frames, strict=True)
    expected = normalized_mutual_info_score(truth, clusters)
    assert found.mutual_information(active=False) == pytest.approx(expected, abs=1e-9)
    active = [(kind, cluster) for kind, cluster in frames if kind]
    if not active:
        assert found.mutual_information(active=True) is None
        return
    expected = normalized_mutual_info_score(*zip(*active, strict=True))
    assert found.mutual_information(active=True) == pytest.approx(expected, abs=1e-9)


def test_mutual_information_of_many_labels_and_frames() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 400, 200_000)
    clusters = (truth // 7 + generator.integers(0, 3, len(truth))) % 50
    pairs, counts = np.unique(np.stack([truth, clusters]), axis=1, return_counts=True)
    found = normalised_mutual_information(pairs[0], pairs[1], counts)
    assert found == pytest.approx(normalized_mutual_info_score(truth, clusters), abs=1e-12)
    with pytest.raises(ValueError, match="got 0 labelled"):
        normalised_mutual_information(pairs[0], pairs[1], 0 * counts)


@given(FRAMES, FRAMES)
def test_counts_of_parts_add_up(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    summed = overlap(one)
    summed.update(LabelOverlap(overlap(two).items()))
    whole = overlap(one + two)
    assert summed.items() == whole.items()
    assert summed.classes() == whole.classes()


@given(FRAMES)
def test_shares_and_purity_are_those_of_the_frames(frames: list[tuple[int, int]]) -> None:
    found = overlap(frames)
    assert found.frames == len(frames)
    assert found.active == sum(kind > 0 for kind, _ in frames)
    assert found.overlapping == sum(kind == 3 for kind, _ in frames)
    pure = 0
    for cluster, shares in found.shares().items():
        held = [KINDS[kind] for kind, of in frames if of == cluster]
        counts = Counter(label for labels in held for label in labels or (None,))
        assert {s.label: s.share for s in shares} == {
            label: count / len(held) for label, count in counts.items()
        }
        pure += max(counts.values())
    assert found.purity() == pure / len(frames)
    for of_class in found.classes():
        having = [cluster for kind, cluster in frames if of_class.label in KINDS[kind]]
        assert of_class.frames == len(having)
        most = max(Counter(having).values())
        assert having.count(of_class.cluster) == most
        assert of_class.recall == most / len(having)
        size = sum(cluster == of_class.cluster for _, cluster in frames)
        assert of_class.precision == most / size


def test_nothing_labelled() -> None:
    empty = LabelOverlap()
    assert empty.mutual_information(active=False) is empty.purity() is None
    assert empty.classes() == []
    assert empty.shares() == {}
