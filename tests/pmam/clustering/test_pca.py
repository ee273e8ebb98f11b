import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from pmam.clustering.pca import fit_projection, fit_standardiser, moments


def correlated(count=400, width=6, seed=0, offset=0.0):
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((width, width))
    return generator.standard_normal((count, width)) @ mixing + offset


@given(
    seed=st.integers(0, 2**31),
    cut=st.integers(0, 50),
    offset=st.sampled_from([0.0, -3.0, 1e6]),
)
@settings(max_examples=40, deadline=None)
def test_moments_of_a_union_are_the_sum(seed, cut, offset):
    x = correlated(count=50, width=3, seed=seed, offset=offset)
    whole = moments(x)
    if 0 < cut < 50:
        parts = moments(x[:cut]) + moments(x[cut:])
        assert parts.count == whole.count
        torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(parts.scatter, whole.scatter, rtol=1e-8, atol=1e-6)
    np.testing.assert_allclose(whole.scatter, np.cov(x.T) * 49, rtol=1e-8, atol=1e-6)


def test_a_million_away_the_variance_stays():
    x = correlated(count=5000)
    far = moments(lambda: np.array_split(x + 1e8, 9))
    torch.testing.assert_close(far.scatter, moments(x).scatter, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("whiten", [False, True])
def test_projection_equals_scikit_learn(whiten):
    x = correlated(count=500, width=8, offset=2.0)
    scaled = StandardScaler().fit_transform(x)
    expected = PCA(5, whiten=whiten, svd_solver="full").fit(scaled)
    projection = fit_projection(moments(lambda: np.array_split(x, 3)), 5, whiten=whiten)
    np.testing.assert_allclose(projection.components, expected.components_, atol=1e-9)
    np.testing.assert_allclose(
        projection.apply(torch.from_numpy(x)), expected.transform(scaled), atol=1e-9
    )
    reduced = torch.from_numpy(expected.transform(scaled))
    inverted = StandardScaler().fit(x).inverse_transform(expected.inverse_transform(reduced))
    np.testing.assert_allclose(projection.invert(reduced), inverted, atol=1e-9)


def test_without_standardising():
    x = correlated(count=500, width=8, offset=2.0)
    expected = PCA(3, svd_solver="full").fit_transform(x)
    projection = fit_projection(moments(x), 3, standardise=False)
    np.testing.assert_allclose(projection.apply(torch.from_numpy(x)), expected, atol=1e-9)


def test_any_leading_shape_and_precision():
    x = torch.from_numpy(correlated(count=24)).float()
    projection = fit_projection(moments(x), 2)
    together = projection.apply(x.reshape(2, 3, 4, 6))
    assert together.shape == (2, 3, 4, 2)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together.reshape(24, 2), projection.apply(x))


def test_all_components_invert_exactly():
    x = torch.from_numpy(correlated())
    projection = fit_projection(moments(x), 6, whiten=True)
    torch.testing.assert_close(projection.invert(projection.apply(x)), x)


def test_standardiser_and_a_constant_dimension():
    x = correlated(count=300)
    x[:, 1] = 0.1  # 0.1 is no binary fraction: its computed variance is not quite 0
    standardiser = fit_standardiser(moments(lambda: np.array_split(x, 7)))
    scaled = standardiser.apply(torch.from_numpy(x))
    np.testing.assert_allclose(scaled, StandardScaler().fit_transform(x), atol=1e-9)
    assert float(standardiser.scale[1]) == 1
    torch.testing.assert_close(standardiser.invert(scaled), torch.from_numpy(x))


def test_bad_input():
    total = moments(correlated())
    for dimensions in (0, 7):
        with pytest.raises(ValueError, match=r"expected 1\.\.6"):
            fit_projection(total, dimensions)
    with pytest.raises(ValueError, match="rank of the frames"):
        fit_projection(moments(correlated(count=4)), 5, whiten=True)
    with pytest.raises(ValueError, match="got none"):
        moments(lambda: [])
