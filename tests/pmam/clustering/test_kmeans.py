import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as Reference

from pmam.clustering.distances import assign, squared_distances
from pmam.clustering.kmeans import KMeansState, cluster_statistics, kmeans, summed
from pmam.clustering.kmeans_init import seed_centers
from pmam.mixture.frame_blocks import sample_rows


def blobs(count=1000, width=4, components=5, seed=0, spread=5.0):
    generator = np.random.default_rng(seed)
    centers = spread * generator.standard_normal((components, width))
    labels = generator.integers(components, size=count)
    return centers[labels] + generator.standard_normal((count, width))


def test_lloyd_equals_scikit_learn_from_the_same_centres():
    x = blobs(spread=1.0)
    start = x[:5].copy()
    expected = Reference(5, init=start, n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(x)
    found = kmeans(x, 5, centers_init=start, tolerance=0.0, max_iterations=300)
    assert found.converged
    np.testing.assert_allclose(found.centers, expected.cluster_centers_, atol=1e-10)
    assert found.inertia == pytest.approx(expected.inertia_, rel=1e-10)
    assert (assign(torch.from_numpy(x), found.centers).numpy() == expected.labels_).all()
    assert (found.counts.numpy() == np.bincount(expected.labels_)).all()


def test_progress_is_a_falling_inertia():
    calls = []
    found = kmeans(blobs(spread=1.0), 5, on_iteration=lambda *call: calls.append(call))
    assert [iteration for iteration, _ in calls] == list(range(1, found.iterations + 1))
    assert (np.diff([inertia for _, inertia in calls]) <= 0).all()
    assert found.inertia <= calls[-1][1]


@pytest.mark.parametrize("seed", range(3))
def test_seeding_is_as_good_as_scikit_learns(seed):
    x = blobs(count=3000, components=12, seed=seed, spread=8.0)
    expected = Reference(12, n_init=10, random_state=seed).fit(x).inertia_
    assert kmeans(x, 12, seed=seed).inertia <= 1.1 * expected


def test_greedy_seeding_beats_random_centres():
    """A fixture with one far, small cluster that uniform draws nearly always miss."""
    generator = np.random.default_rng(0)
    x = np.concatenate([generator.standard_normal((5000, 2)), 100 + np.zeros((5, 2))])
    for seed in range(5):
        centers = seed_centers(torch.from_numpy(x), 3, seed)
        assert float(centers.max()) == 100


def test_float32_far_from_the_origin():
    x = blobs(count=2000)
    exact = kmeans(x, 5, seed=2)
    far = kmeans((x + 1000).astype(np.float32), 5, seed=2)
    torch.testing.assert_close(far.centers - 1000, exact.centers, rtol=0, atol=1e-3)


@given(seed=st.integers(0, 2**31), cut=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_statistics_of_a_union_are_the_sum(seed, cut):
    x = torch.from_numpy(blobs(count=100, seed=seed))
    centers = x[:7].clone()
    whole = cluster_statistics(x, centers)
    parts = cluster_statistics(x[:cut], centers) + cluster_statistics(x[cut:], centers)
    for name in ("counts", "sums", "farthest", "distances"):
        torch.testing.assert_close(
            getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-11
        )
    assert parts.inertia == pytest.approx(whole.inertia, rel=1e-12)


def test_an_empty_cluster_takes_the_farthest_frame():
    x = blobs(count=600, components=3, spread=20.0)
    start = np.stack([x[0], x[0] + 0.1, np.full(4, 1e6)])
    found = kmeans(x, 3, centers_init=start, tolerance=0.0)
    assert found.reseeded >= 1
    assert found.inertia <= 1.01 * Reference(3, n_init=10, random_state=0).fit(x).inertia_


def test_squared_distances_by_the_definition():
    x, centers = torch.from_numpy(blobs(count=30)), torch.from_numpy(blobs(count=6, seed=1))
    torch.testing.assert_close(squared_distances(x, centers), torch.cdist(x, centers).square())


def test_blocks_and_seeds():
    x = blobs(count=9000)
    whole = kmeans(x, 5, seed=1)
    streamed = kmeans(lambda: np.array_split(x, 7), 5, seed=1)
    torch.testing.assert_close(streamed.centers, whole.centers, rtol=0, atol=1e-10)
    assert torch.equal(kmeans(x, 5, seed=1).centers, whole.centers)


def test_the_sample_is_uniform_and_does_not_depend_on_blocks():
    x = np.arange(10000, dtype=np.float64)[:, None]
    sample = sample_rows(x, 500, seed=3)
    assert torch.equal(sample, sample_rows(lambda: np.array_split(x, 13), 500, seed=3))
    assert len(sample.unique()) == 500
    assert (sample[1:] > sample[:-1]).all()
    assert abs(float(sample.mean()) - 5000) < 4 * 10000 / np.sqrt(12 * 500)
    assert not torch.equal(sample, sample_rows(x, 500, seed=4))
    assert torch.equal(sample_rows(x, 20000, seed=3), torch.from_numpy(x))


def test_fewer_distinct_frames_than_centres_ends():
    found = kmeans(np.repeat(blobs(count=2), 50, axis=0), 4, max_iterations=10)
    assert found.inertia == pytest.approx(0, abs=1e-20)
    assert torch.isfinite(found.centers).all()


def test_bad_input():
    with pytest.raises(ValueError, match="got 3 for 5 components"):
        kmeans(blobs(count=3), 5)
    with pytest.raises(ValueError, match=r"centers_init: got \(2, 4\); expected \(3, 4\)"):
        kmeans(blobs(), 3, centers_init=np.zeros((2, 4)))


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_when_the_centres_rest_does_not_depend_on_the_unit_of_the_frames(scale):
    x = blobs(spread=1.0)
    expected = kmeans(x, 5, centers_init=x[:5].copy())
    found = kmeans(scale * x, 5, centers_init=scale * x[:5])
    assert 3 < found.iterations == expected.iterations < 100
    np.testing.assert_allclose(found.centers, scale * expected.centers, rtol=1e-6)


def test_centres_do_not_rest_in_an_iteration_that_moved_an_empty_one():
    centers = torch.tensor([[0.0], [10.0], [11.0]], dtype=torch.float64)
    x = torch.tensor([[0.0], [0.0], [10.0]], dtype=torch.float64)
    state = KMeansState(centers=centers, variance=1e9)  # any movement is small
    after = state.after(cluster_statistics(x, centers), 1e-4)
    assert after.reseeded == 1
    assert not after.converged
    settled = KMeansState(centers=centers[:2], variance=1e9)
    assert settled.after(cluster_statistics(x, centers[:2]), 1e-4).converged


class Gathering:
    """The first of two workers, to which the other's rows and sums come in the order of calls."""

    def __init__(self, other):
        self.rows = [other.distances, other.farthest]
        self.sums = [other.counts, other.sums, other.counts.new_tensor([other.inertia])]

    def gathered(self, rows):
        return torch.cat([rows, self.rows.pop(0)])

    def total(self, values):
        return values + self.sums.pop(0)


def test_the_farthest_frames_of_two_workers_are_those_of_all_frames():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 3, dtype=torch.float64, generator=generator)
    x[40:] *= 10  # those of the second worker are the farthest
    centers = x[:4].clone()
    own, other = cluster_statistics(x[:40], centers), cluster_statistics(x[40:], centers)
    found, expected = summed(Gathering(other), own), cluster_statistics(x, centers)
    for name in ("counts", "sums", "farthest", "distances"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), msg=name)
    assert found.inertia == pytest.approx(expected.inertia)
