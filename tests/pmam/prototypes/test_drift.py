from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from pmam.prototypes.drift import Overlap, drift, matched, reordered


def one_hot(labels: np.ndarray, count: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(labels), count).float()


def overlap(before: np.ndarray, after: np.ndarray, x: torch.Tensor, j: int, k: int) -> Overlap:
    total = Overlap.zeros(j, k, x.shape[1])
    for rows in np.array_split(np.arange(len(x)), 3):
        total.absorb(x[rows], one_hot(before[rows], j), one_hot(after[rows], k))
    return total


@given(seed=st.integers(0, 99), j=st.integers(2, 4), k=st.integers(2, 4))
def test_what_changed_by_the_definitions(seed: int, j: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    before, after = generator.integers(j, size=200), generator.integers(k, size=200)
    x = torch.from_numpy(generator.standard_normal((200, 3)))
    means = torch.from_numpy(generator.standard_normal((k, 3)))
    found = drift(overlap(before, after, x, j, k), means)
    assert found.frames == 200
    expected = normalized_mutual_info_score(before, after)
    assert found.normalised_mutual_information == pytest.approx(expected, abs=1e-9)
    best = max(
        sum(np.sum((before == a) & (after == b)) for a, b in zip(rows, columns, strict=False))
        for rows in permutations(range(j), min(j, k))
        for columns in permutations(range(k), min(j, k))
    )
    assert found.stayed == pytest.approx(best / 200)
    held = [(a, b) for a, b in found.matches if (before == a).any()]
    shifts = [float((x[before == a].mean(dim=0) - means[b]).norm()) for a, b in held]
    spread = float((x - x.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    assert found.mean_shift == pytest.approx(np.mean(shifts) / spread)


def test_only_the_numbers_changed() -> None:
    generator = np.random.default_rng(0)
    before = generator.integers(4, size=100)
    new = np.array([2, 0, 3, 1])
    x = torch.from_numpy(generator.standard_normal((100, 2)) + 5 * before[:, None])
    means = torch.stack([x[new[before] == k].mean(dim=0) for k in range(4)])
    found = drift(overlap(before, new[before], x, 4, 4), means)
    assert found.stayed == found.normalised_mutual_information == 1
    assert found.mean_shift == pytest.approx(0, abs=1e-12)
    assert found.matches == tuple(enumerate(new.tolist()))
    order = reordered(4, found.matches)
    assert [order.index(n) for n in new] == [0, 1, 2, 3]


def test_soft_posteriors_decide_what_hard_ones_leave_open() -> None:
    assert matched(np.array([[5.0, 4.0], [5.0, 1.0]])) == ((0, 1), (1, 0))


@given(
    count=st.integers(1, 7),
    olds=st.permutations(range(9)),
    news=st.permutations(range(9)),
    pairs=st.integers(0, 7),
)
def test_places_are_taken_once(count: int, olds: list[int], news: list[int], pairs: int) -> None:
    chosen = [new for new in news if new < count][:pairs]
    matches = tuple(zip(olds, chosen, strict=False))
    order = reordered(count, matches)
    assert sorted(order) == list(range(count))
    assert all(order[old] == new for old, new in matches if old < count)


def test_no_frames_in_common() -> None:
    with pytest.raises(ValueError, match="got no frames in common"):
        drift(Overlap.zeros(2, 2, 3), torch.zeros(2, 3).double())
