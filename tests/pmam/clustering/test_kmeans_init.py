"""Where k-means begins."""

import numpy as np
import pytest
import torch
from process_groups import groups

from pmam.clustering.kmeans import kmeans
from pmam.clustering.kmeans_init import seed_centers
from pmam.mixture.frame_blocks import sample_rows


def blobs(count=3000, width=4, components=12, seed=0, spread=8.0):
    generator = np.random.default_rng(seed)
    centers = spread * generator.standard_normal((components, width))
    labels = generator.integers(components, size=count)
    return centers[labels] + generator.standard_normal((count, width))


def test_fewer_distinct_frames_than_centres():
    x = np.repeat(blobs(count=2), 50, axis=0)
    found = kmeans(x, 4, max_iterations=5)
    assert found.inertia == pytest.approx(0, abs=1e-20)


def test_each_next_centre_is_one_of_the_frames_and_far_from_those_before():
    x = torch.from_numpy(blobs(count=400, components=5, spread=50.0))
    chosen = seed_centers(x, 5, seed=3)
    assert all((x == centre).all(dim=1).any() for centre in chosen)
    # One in each of five clusters that lie far apart.
    assert float(torch.pdist(chosen).min()) > 10


def test_a_sample_of_several_workers_is_one_uniform_sample_of_all_frames():
    x = torch.arange(9000.0)[:, None]
    parts = [x[:500], x[500:5000], x[5000:]]
    counts = np.zeros(3)
    with groups(3) as each:
        for seed in range(20):
            found = each(
                lambda group, seed=seed: sample_rows(parts[group.rank], 600, seed, group=group)
            )
            assert all(torch.equal(sample, found[0]) for sample in found)
            values = found[0][:, 0].numpy()
            assert len(values) == len(np.unique(values)) == 600
            assert (np.diff(values) > 0).all()  # in the order of the workers' frames
            counts += np.histogram(values, [0, 500, 5000, 9000])[0]
        few = each(lambda group: sample_rows(parts[group.rank][:7], 600, 0, group=group))
    np.testing.assert_allclose(counts / 12_000, [5 / 90, 0.5, 4 / 9], atol=0.02)
    assert torch.equal(few[0], torch.cat([part[:7] for part in parts]))


def test_workers_draw_their_samples_independently():
    halves = torch.arange(2000.0).view(2, 1000, 1)
    with groups(2) as each:
        sample = each(lambda group: sample_rows(halves[group.rank], 600, 5, group=group))[0]
    first, second = (set((sample[:, 0] % 1000)[sample[:, 0] // 1000 == n].tolist()) for n in (0, 1))
    # About 30 % of the places of one worker are drawn from the other too; alike, all would be.
    assert len(first & second) < 0.5 * len(first)


def test_bad_input():
    with pytest.raises(ValueError, match="got 3 for 5 components"):
        kmeans(blobs(count=3), 5)
    with pytest.raises(ValueError, match="row 1 holds NaN"):
        kmeans(np.array([[1.0], [np.nan]]), 1)
