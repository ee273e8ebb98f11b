import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from pmam.clustering import silhouette as module
from pmam.clustering.silhouette import silhouette


@given(
    seed=st.integers(0, 99),
    count=st.integers(3, 120),
    clusters=st.integers(2, 9),
    offset=st.sampled_from([0.0, 1e4]),
)
def test_the_silhouette_of_scikit_learn(
    seed: int, count: int, clusters: int, offset: float
) -> None:
    """Also with clusters of one frame, numbers left out, and far from zero."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((count, 4)) + offset
    labels = 3 * generator.integers(min(clusters, count - 1), size=count)
    labels[:2] = 0, 3
    labels[2] = 0  # at least two clusters, fewer than frames
    found = silhouette(torch.from_numpy(x), torch.from_numpy(labels))
    assert found == pytest.approx(silhouette_score(x, labels), abs=1e-6)


def test_rows_at_a_time_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 5, generator=generator)
    labels = torch.randint(4, (300,), generator=generator)
    whole = silhouette(x, labels)
    monkeypatch.setattr(module, "ROWS", 7)
    assert silhouette(x, labels) == pytest.approx(whole, abs=1e-12)


def test_far_clusters_come_near_to_one_and_mixed_ones_below_zero() -> None:
    x = torch.cat([torch.zeros(5, 2), torch.full((5, 2), 100.0)])
    x += 0.1 * torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(10) // 5
    assert silhouette(x, labels) > 0.99
    assert silhouette(x, torch.arange(10) % 2) < 0
    assert silhouette(torch.zeros(6, 2), torch.arange(6) % 2) == 0  # all at one place


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_too_few_or_too_many_clusters(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="expected at least two, and fewer than frames"):
        silhouette(torch.zeros(3, 2), torch.tensor(labels))
