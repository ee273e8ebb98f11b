"""k-means|| and mini-batches, against scikit-learn and against what they promise."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans

import pmam.clustering.kmeans
from pmam.clustering.kmeans import kmeans, minibatch_kmeans
from pmam.clustering.kmeans_init import draw_candidates, seed_centers, seed_parallel
from pmam.mixture.frame_blocks import SHUFFLED_ROWS, shuffled_batches


def blobs(count=3000, width=4, components=12, seed=0, spread=8.0):
    generator = np.random.default_rng(seed)
    centers = spread * generator.standard_normal((components, width))
    labels = generator.integers(components, size=count)
    return centers[labels] + generator.standard_normal((count, width))


def test_candidates_come_in_proportion_to_the_squared_distance():
    """Frames at distance 1, 2 and 3: the first drawn is one of them 1, 4 and 9 times in 14."""
    x = torch.tensor([[1.0], [2.0], [3.0]])
    centre = torch.zeros(1, 1, dtype=torch.float64)
    generator = np.random.default_rng(0)
    firsts = [float(draw_candidates(x, centre, 1, generator).frames) for _ in range(4000)]
    shares = np.bincount(np.array(firsts, dtype=int))[1:] / 4000
    np.testing.assert_allclose(shares, np.array([1, 4, 9]) / 14, atol=0.03)


def test_candidates_of_two_workers_are_a_race_of_all():
    x = torch.from_numpy(blobs(count=500))
    centre = x[:1].clone()
    whole = draw_candidates(x, centre, 40, np.random.default_rng(3))
    generator = np.random.default_rng(3)  # in stream order, both halves draw what the whole drew
    halves = [draw_candidates(part, centre, 40, generator) for part in (x[:170], x[170:])]
    parts = halves[0] + halves[1]
    assert torch.equal(parts.frames, whole.frames)
    assert torch.equal(parts.times, whole.times)
    assert len(whole.frames.unique(dim=0)) == 40
    assert not (whole.frames == centre).all(dim=1).any()  # a chosen frame never comes again


@pytest.mark.parametrize("seed", range(3))
def test_parallel_seeds_alone_are_better_than_scikit_learns(seed):
    x = blobs(seed=seed)
    ours = kmeans(x, 12, seed=seed, seeding="k-means||", max_iterations=1, tolerance=0.0)
    theirs = [
        KMeans(12, n_init=1, max_iter=1, tol=0, random_state=run).fit(x).inertia_
        for run in range(9)
    ]
    assert ours.inertia <= 1.1 * np.median(theirs)


@pytest.mark.parametrize("seed", range(3))
def test_from_parallel_seeds_the_inertia_is_scikit_learns(seed):
    x = blobs(seed=seed)
    expected = KMeans(12, n_init=10, random_state=seed).fit(x).inertia_
    found = kmeans(lambda: np.array_split(x, 5), 12, seed=seed, seeding="k-means||")
    assert found.converged
    assert found.inertia <= 1.1 * expected


def test_parallel_seeds_find_what_a_sample_lacks(monkeypatch):
    monkeypatch.setattr(pmam.clustering.kmeans, "SEEDING_FRAMES", 100)
    generator = np.random.default_rng(0)
    x = np.concatenate([generator.standard_normal((9000, 2)), 1000 + np.zeros((3, 2))])
    for seed in range(3):
        found = kmeans(x, 3, seed=seed, seeding="k-means||", max_iterations=1)
        assert float(found.centers.max()) == pytest.approx(1000)
    lost = [kmeans(x, 3, seed=seed, max_iterations=1).centers.max() < 999 for seed in range(3)]
    assert all(lost)  # so the fixture tells the two apart


def test_seeds_do_not_depend_on_blocks_and_repeat():
    x = torch.from_numpy(blobs())
    whole = seed_parallel(x, x[:1], 7, seed=2)
    assert torch.equal(whole, seed_parallel(lambda: x.split(311), x[:1], 7, seed=2))
    assert not torch.equal(whole, seed_parallel(x, x[:1], 7, seed=3))


def test_weights_repeat_frames():
    """A weight of zero is no frame at all: such a candidate is never chosen while others last."""
    x = torch.from_numpy(blobs(count=60))
    weights = torch.ones(60, dtype=torch.float64)
    weights[30:] = 0
    chosen = seed_centers(x, 20, seed=1, weights=weights)
    assert all((x[:30] == centre).all(dim=1).any() for centre in chosen)


def test_fewer_distinct_frames_than_centres():
    x = np.repeat(blobs(count=2), 50, axis=0)
    found = kmeans(x, 4, seeding="k-means||", max_iterations=5)
    assert found.inertia == pytest.approx(0, abs=1e-20)
    assert minibatch_kmeans(x, 4, max_passes=3).inertia == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("seed", range(3))
def test_mini_batches_come_near_scikit_learns(seed):
    x = blobs(count=20_000, seed=seed, spread=2.0)
    start = seed_centers(torch.from_numpy(x[:5000]), 12, seed).numpy()
    lloyd = kmeans(x, 12, centers_init=start).inertia
    reference = MiniBatchKMeans(12, init=start, n_init=1, batch_size=1024, random_state=seed)
    found = minibatch_kmeans(x, 12, seed=seed, centers_init=start)
    assert found.inertia <= 1.02 * reference.fit(x).inertia_
    assert found.inertia <= 1.06 * lloyd
    assert float(found.counts.sum()) == 20_000


def test_one_mini_batch_is_one_step_of_lloyd():
    x = blobs(count=900)
    start = x[:12].copy()
    lloyd = kmeans(x, 12, centers_init=start, max_iterations=1)
    once = minibatch_kmeans(x, 12, centers_init=start, max_passes=1, batch=900)
    torch.testing.assert_close(once.centers, lloyd.centers)
    twice = minibatch_kmeans(x, 12, centers_init=start, max_passes=1, batch=450)
    assert not torch.allclose(twice.centers, lloyd.centers)


def test_progress_and_the_same_bits():
    calls = []
    x = blobs()
    found = minibatch_kmeans(x, 5, seed=1, on_pass=lambda *call: calls.append(call))
    assert [number for number, _ in calls] == list(range(1, found.iterations + 1))
    assert calls[-1][1] < calls[0][1]
    assert torch.equal(found.centers, minibatch_kmeans(x, 5, seed=1).centers)


def test_an_empty_cluster_of_mini_batches_moves():
    x = blobs(count=600, components=3, spread=20.0)
    start = np.stack([x[0], x[0] + 0.1, np.full(4, 1e6)])
    found = minibatch_kmeans(x, 3, centers_init=start, batch=64, max_passes=20)
    assert found.reseeded >= 1
    assert float(found.counts.min()) > 0


def test_batches_hold_every_row_once_and_mix_neighbours():
    x = np.arange(2.5 * SHUFFLED_ROWS)[:, None]
    batches = list(shuffled_batches(x, 1000, seed=0))
    assert all(len(batch) == 1000 for batch in batches[:-1])
    rows = torch.cat(batches)[:, 0]
    assert torch.equal(rows.sort().values, torch.from_numpy(x[:, 0]))
    assert float((batches[0][1:] - batches[0][:-1]).abs().mean()) > SHUFFLED_ROWS / 10


def test_bad_input():
    with pytest.raises(ValueError, match="got 3 for 5 components"):
        minibatch_kmeans(blobs(count=3), 5)
    with pytest.raises(ValueError, match="row 1 holds NaN"):
        minibatch_kmeans(np.array([[1.0], [np.nan]]), 1)
