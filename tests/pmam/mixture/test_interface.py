"""What scikit-learn's mixture can, ours can, with its numbers."""

import warnings

import numpy as np
import pytest
import torch
from gmm_cases import clusters, start_near
from process_groups import groups
from sklearn.mixture import GaussianMixture as Reference

from pmam.clustering.kmeans import kmeans
from pmam.mixture.e_step import statistics
from pmam.mixture.em import FitState, initial_state
from pmam.mixture.gaussian_mixture import GaussianMixture
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.settings import COVARIANCE_TYPES

warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")


def both(covariance_type, x, means):
    """A mixture of theirs and one of ours after the same four iterations."""
    options = start_near(means, covariance_type) | {"tol": 0.0, "max_iter": 4}
    return Reference(3, **options).fit(x), GaussianMixture(3, **options).fit(x)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_every_number_of_a_fit(covariance_type):
    x, means = clusters(count=900, spread=1.0)
    theirs, ours = both(covariance_type, x, means)
    unseen, _ = clusters(count=300, spread=1.0, seed=7)
    for frames in (x, unseen):
        assert ours.aic(frames) == pytest.approx(theirs.aic(frames), abs=1e-7)
        assert ours.bic(frames) == pytest.approx(theirs.bic(frames), abs=1e-7)
        assert ours.score(frames) == pytest.approx(theirs.score(frames), abs=1e-10)
        np.testing.assert_array_equal(ours.predict(frames), theirs.predict(frames))
        np.testing.assert_allclose(
            ours.predict_proba(frames), theirs.predict_proba(frames), atol=1e-9
        )
        np.testing.assert_allclose(
            ours.score_samples(frames), theirs.score_samples(frames), atol=1e-9
        )
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-9)
    np.testing.assert_allclose(ours.precisions_, theirs.precisions_, rtol=1e-7, atol=1e-9)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_workers_fit_what_one_process_fits(covariance_type, world):
    """Without a start of their own: the sample, k-means and EM are those of all frames."""
    x, _ = clusters(count=900, spread=1.0)
    options = {"covariance_type": covariance_type, "tol": 1e-4, "random_state": 4}
    whole = GaussianMixture(3, **options).fit(x)
    parts = np.array_split(x, [250, 251][: world - 1])
    with groups(world) as each:
        fits = each(lambda group: GaussianMixture(3, **options).fit(parts[group.rank], group=group))
    for found in fits:
        assert found.n_iter_ == whole.n_iter_ > 3
        assert found.converged_
        np.testing.assert_allclose(found.log_likelihoods_, whole.log_likelihoods_, rtol=1e-10)
        torch.testing.assert_close(found.covariances_, whole.covariances_, rtol=0, atol=1e-9)
        assert torch.equal(found.means_, fits[0].means_)  # to the bit, on every worker


def test_em_begins_with_the_clusters_of_k_means():
    x, _ = clusters(count=600)
    begun = initial_state(x, 3, "full", reg_covar=1e-6, seed=4)
    assert begun.iteration == 0
    centers = kmeans(x, 3, seed=4).centers
    labels = torch.cdist(torch.from_numpy(x), centers).argmin(dim=1)
    for k in range(3):
        own = torch.from_numpy(x)[labels == k]
        expected = own.T.cov(correction=0) + 1e-6 * torch.eye(5).double()
        torch.testing.assert_close(begun.parameters.covariances[k], expected, rtol=0, atol=1e-10)
        assert float(begun.parameters.weights[k]) == pytest.approx(len(own) / 600)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_samples_have_the_moments_of_the_mixture(covariance_type):
    x, _ = clusters(count=2000, width=3, spread=3.0)
    mixture = GaussianMixture(3, covariance_type=covariance_type, tol=1e-6).fit(x)
    drawn, labels = mixture.sample(60_000, seed=1)
    assert torch.equal(drawn, mixture.sample(60_000, seed=1)[0])
    assert not torch.equal(drawn[:9], mixture.sample(9, seed=2)[0])
    expected = {
        "full": lambda k: mixture.covariances_[k],
        "tied": lambda k: mixture.covariances_,
        "diag": lambda k: mixture.covariances_[k].diag(),
        "spherical": lambda k: mixture.covariances_[k] * torch.eye(3, dtype=torch.float64),
    }[covariance_type]
    for k in range(3):
        own = drawn[labels == k]
        assert len(own) / 60_000 == pytest.approx(float(mixture.weights_[k]), abs=0.01)
        scale = float(expected(k).diagonal().max())
        torch.testing.assert_close(own.mean(dim=0), mixture.means_[k], rtol=0, atol=0.04 * scale)
        torch.testing.assert_close(own.T.cov(), expected(k), rtol=0, atol=0.06 * scale)
    with pytest.raises(ValueError, match="got 0 frames; expected at least 1"):
        mixture.sample(0)


def test_of_several_runs_the_likeliest_stays():
    x, _ = clusters(count=400, width=2, components=9, seed=11, spread=3.0)
    options = {"tol": 1e-5, "max_iter": 200}
    runs = [GaussianMixture(9, random_state=seed, **options).fit(x) for seed in range(3, 7)]
    bounds = [run.lower_bound_ for run in runs]
    assert max(bounds) > bounds[0] + 1e-3  # or the test would show nothing
    best = GaussianMixture(9, random_state=3, n_init=4, **options).fit(x)
    assert best.lower_bound_ == max(bounds)
    assert best.n_iter_ == runs[int(np.argmax(bounds))].n_iter_
    torch.testing.assert_close(best.means_, runs[int(np.argmax(bounds))].means_, rtol=0, atol=0)


def test_a_warm_start_goes_on_where_the_fit_ended():
    x, means = clusters(count=900, spread=1.0)
    options = start_near(means, "full") | {"tol": 0.0}
    ten = GaussianMixture(3, max_iter=10, **options).fit(x)
    five = GaussianMixture(3, max_iter=5, warm_start=True, **options).fit(x)
    assert torch.equal(five.fit(x).means_, ten.means_)
    assert five.n_iter_ == 5
    cold = GaussianMixture(3, max_iter=5, **options).fit(x)
    assert torch.equal(cold.fit(x).means_, GaussianMixture(3, max_iter=5, **options).fit(x).means_)


def test_given_parameters_begin_a_fit():
    x, means = clusters(count=900, spread=1.0)
    first = GaussianMixture(3, tol=0.0, max_iter=4, **start_near(means, "diag")).fit(x)
    options = {"covariance_type": "diag", "tol": 0.0, "max_iter": 3, "n_init": 5}
    from_parameters = GaussianMixture(3, **options).fit(x, start=first.parameters_)
    seven = GaussianMixture(3, tol=0.0, max_iter=7, **start_near(means, "diag")).fit(x)
    assert torch.equal(from_parameters.means_, seven.means_)
    assert from_parameters.n_iter_ == 3
    with pytest.raises(ValueError, match="got 3 components, diag; expected 4, diag"):
        GaussianMixture(4, covariance_type="diag").fit(x, start=first.parameters_)
    with pytest.raises(ValueError, match="got 3 components, diag; expected 3, full"):
        GaussianMixture(3).fit(x, start=FitState(parameters=first.parameters_))


def test_labels_of_the_frames_it_was_fitted_to():
    x, _ = clusters(count=600, spread=8.0)
    mixture = GaussianMixture(3)
    labels = mixture.fit_predict(x)
    assert np.array_equal(labels, mixture.predict(x))
    assert np.bincount(labels).tolist() == [
        round(600 * float(weight)) for weight in mixture.weights_
    ]


def test_arrays_come_back_as_the_kind_that_was_given():
    x, _ = clusters(count=90)
    mixture = GaussianMixture(3, random_state=1).fit(x)
    for method in ("predict", "predict_proba", "score_samples"):
        given, tensor = getattr(mixture, method)(x), getattr(mixture, method)(torch.from_numpy(x))
        assert type(given) is np.ndarray
        assert type(tensor) is torch.Tensor
        assert np.array_equal(given, tensor.numpy())


def test_scores_stream():
    x, _ = clusters(count=900)
    mixture = GaussianMixture(3).fit(x)
    streamed = mixture.bic(lambda: np.array_split(x, 7))
    assert streamed == pytest.approx(mixture.bic(x), rel=1e-12)
    with pytest.raises(ValueError, match="got none"):
        mixture.score(lambda: [])
    with pytest.raises(ValueError, match="got D = 4; expected D = 5"):
        mixture.score(x[:, :4])
    with pytest.raises(ValueError, match=r"got shape \(900, 4\); expected \(N, 5\)"):
        mixture.predict(x[:, :4])
    assert mixture.predict_proba(x[:0]).shape == (0, 3)


@pytest.mark.parametrize("far", [1e3, 1.0])
def test_a_fit_does_not_rest_in_an_iteration_that_moved_an_empty_component(far):
    x = torch.as_tensor(clusters(count=300, spread=1.0)[0])
    width = x.shape[1]
    parameters = MixtureParameters(
        covariance_type="spherical",
        weights=torch.full((2,), 0.5, dtype=torch.float64),
        means=torch.stack([x.mean(dim=0).double(), torch.full((width,), far, dtype=torch.double)]),
        covariances=torch.ones(2, dtype=torch.float64),
    )
    total = statistics(x, parameters)
    state = FitState(parameters=parameters, log_likelihoods=(total.log_likelihood / total.frames,))
    after = state.after(total, reg_covar=1e-6, tol=1e-3)
    assert (after.reseeded, after.converged) == ((1, False) if far > 1 else (0, True))
