import warnings

import numpy as np
import pytest
import torch
from gmm_cases import clusters, identity, start_near
from parity_rule import load, rng
from sklearn.mixture import GaussianMixture as Reference

from pmam.mixture.em import FitState
from pmam.mixture.gaussian_mixture import GaussianMixture
from pmam.mixture.settings import COVARIANCE_TYPES

warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")


def parity_inputs(seed):
    mu = 1.2 * rng("gmm12.mu", seed).standard_normal((5, 16))
    a = 0.6 * rng("gmm12.A", seed).standard_normal((5, 16, 16)) / 4 + 0.5 * np.eye(16)
    z = rng("gmm12.z", seed).choice(5, size=5000, p=[0.1, 0.15, 0.2, 0.25, 0.3])
    n = rng("gmm12.n", seed).standard_normal((5000, 16))
    return mu[z] + np.einsum("nd,ned->ne", n, a[z]), mu + 0.8 * rng(
        "gmm12.m0", seed
    ).standard_normal((5, 16))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_parity_with_the_reference_numbers(parity_dir, covariance_type):
    meta, expected = load(parity_dir, "12_gmm")
    x, means_init = parity_inputs(meta["seed"])
    options = {
        "covariance_type": covariance_type,
        "weights_init": np.array(meta["config"]["weights_init"]),
        "means_init": means_init,
        "precisions_init": identity(covariance_type, 5, 16),
    }
    mixture = GaussianMixture(5, tol=0.0, max_iter=30, **options).fit(x)
    ours = {
        "lower_bounds": mixture.log_likelihoods_,
        "weights": mixture.parameters_.weights,
        "means": mixture.parameters_.means,
        "covariances": mixture.parameters_.covariances,
        "predict_proba_first200": mixture.predict_proba(x[:200]),
        "score_samples_first200": mixture.score_samples(x[:200]),
        "means_iter1": GaussianMixture(5, max_iter=1, **options).fit(x).parameters_.means,
    }
    for name, value in ours.items():
        np.testing.assert_allclose(
            np.asarray(value), expected[f"{covariance_type}_{name}"], rtol=0, atol=1e-8
        )
    assert mixture.reseeded_ == 0

    scalars = meta["scalars"][covariance_type]
    by_default = GaussianMixture(5, **options).fit(x)
    assert by_default.converged_
    assert by_default.n_iter_ == scalars["default_tol_1e3_n_iter"]
    assert by_default.lower_bound_ == pytest.approx(scalars["default_tol_lower_bound"], abs=1e-8)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_far_from_the_origin_no_digits_are_lost(covariance_type, dtype):
    """At 1000 standard deviations from zero, raw second moments would lose 6 digits more."""
    x, means = clusters(count=3000, width=8)
    near = GaussianMixture(3, tol=0.0, max_iter=5, **start_near(means, covariance_type)).fit(x)
    shifted = (x + 1000).astype(dtype)
    far = GaussianMixture(3, tol=0.0, max_iter=5, **start_near(means + 1000, covariance_type)).fit(
        shifted
    )
    limit = 1e-9 if dtype == np.float64 else 1e-3  # float32 holds 1000 itself to 6e-5
    torch.testing.assert_close(
        far.parameters_.covariances, near.parameters_.covariances, rtol=0, atol=limit
    )


def test_float32_frames_agree_with_scikit_learn_in_float64():
    x, means = clusters(count=20000, width=24, components=8, spread=1.0)
    options = start_near(means, "full") | {"tol": 0.0, "max_iter": 10}
    expected = Reference(8, **options).fit(x)
    found = GaussianMixture(8, **options).fit(x.astype(np.float32))
    assert found.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-4)
    np.testing.assert_allclose(found.parameters_.means, expected.means_, atol=1e-4)
    np.testing.assert_allclose(found.parameters_.covariances, expected.covariances_, atol=1e-3)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_from_kmeans_it_finds_what_scikit_learn_finds(covariance_type):
    x, _ = clusters(count=2000, width=4, components=4, seed=3, spread=6.0)
    found = GaussianMixture(4, covariance_type=covariance_type, tol=1e-9, random_state=1).fit(x)
    expected = Reference(
        4, covariance_type=covariance_type, tol=1e-9, n_init=5, random_state=0
    ).fit(x)
    assert found.converged_
    assert found.score_samples(x).mean() == pytest.approx(expected.score(x), abs=1e-6)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_log_likelihood_never_falls(covariance_type):
    x, _ = clusters(count=1500, width=6, components=5, spread=1.0)
    curve = (
        GaussianMixture(5, covariance_type=covariance_type, tol=0.0, max_iter=25)
        .fit(x)
        .log_likelihoods_
    )
    assert (np.diff(curve) > -1e-6).all()


def test_blocks_give_what_the_array_gives():
    x, _ = clusters(count=5000)
    calls = []

    def blocks():
        calls.append(1)
        yield from (x[start : start + 700] for start in range(0, len(x), 700))

    whole = GaussianMixture(3, tol=1e-6).fit(x)
    streamed = GaussianMixture(3, tol=1e-6).fit(blocks)
    assert len(calls) >= streamed.n_iter_
    torch.testing.assert_close(
        streamed.parameters_.means, whole.parameters_.means, rtol=0, atol=1e-9
    )


def test_same_seed_same_bits():
    x, _ = clusters(count=1000)
    first, second = (GaussianMixture(4, random_state=5).fit(x) for _ in range(2))
    assert torch.equal(first.parameters_.covariances, second.parameters_.covariances)
    assert first.log_likelihoods_ == second.log_likelihoods_


def test_a_killed_fit_continues_to_the_same_bits():
    x, means = clusters(count=1000, spread=1.0)
    options = start_near(means, "full") | {"tol": 1e-7, "max_iter": 30}
    undisturbed = GaussianMixture(3, **options).fit(x)
    killed = GaussianMixture(3, **options)
    saved = {}

    def stop_at_4(iteration, log_likelihood):
        saved.update(killed.state_.tensors())
        assert log_likelihood == killed.log_likelihoods_[iteration - 1]
        if iteration == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.fit(x, on_iteration=stop_at_4)
    state = FitState.from_tensors(saved, "full")
    assert state.iteration == 4
    continued = GaussianMixture(3, **options).fit(x, start=state)
    assert continued.log_likelihoods_ == undisturbed.log_likelihoods_
    assert torch.equal(continued.parameters_.covariances, undisturbed.parameters_.covariances)
    assert GaussianMixture(3, **options).fit(x, start=continued.state_).n_iter_ == (
        undisturbed.n_iter_
    )


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_an_empty_component_is_reseeded_and_reported(covariance_type):
    x, means = clusters(count=900, width=4, spread=8.0)
    options = start_near(means, covariance_type)
    options["means_init"] = means.copy()
    options["means_init"][2] = 1e4  # no frame is near
    found = GaussianMixture(3, tol=1e-8, max_iter=200, **options).fit(x)
    assert found.reseeded_ >= 1
    assert found.converged_
    assert float(found.parameters_.weights.min()) > 0.2  # each true cluster has a third
    assert float(found.parameters_.weights.sum()) == pytest.approx(1)


def test_digital_silence_is_a_component_not_a_collapse():
    """Many equal frames are real: their variance is the floor, and nothing is re-seeded."""
    x, _ = clusters(count=500, width=3, components=2, spread=5.0)
    x = np.concatenate([x, np.full((300, 3), 40.0)])
    found = GaussianMixture(3, tol=1e-6).fit(x)
    assert found.converged_
    assert found.reseeded_ == 0
    silence = int((found.parameters_.means - 40.0).abs().sum(dim=1).argmin())
    assert float(found.parameters_.weights[silence]) == pytest.approx(300 / 800)
    torch.testing.assert_close(
        found.parameters_.covariances[silence], 1e-6 * torch.eye(3, dtype=torch.float64)
    )


def test_a_constant_dimension_is_held_up_by_the_regularisation():
    x, _ = clusters(count=500)
    x[:, 2] = 7.0
    for dtype in (np.float32, np.float64):
        found = GaussianMixture(3).fit(x.astype(dtype))
        assert np.isfinite(found.lower_bound_)
        torch.testing.assert_close(
            found.parameters_.covariances[:, 2, 2], torch.full((3,), 1e-6, dtype=torch.float64)
        )


def bad_frames():
    x, _ = clusters(count=100)
    nan = x.copy()
    nan[37, 1] = np.nan
    yield nan, "row 37 holds NaN"
    yield x[:2], "got 2 for 3 components"
    yield x[:, 0], "expected blocks of"
    yield x.astype(int), "expected floating point"
    yield (lambda: iter([x, x[:, :3]])), "got D = 3 after D = 5"
    yield (block for block in [x]), "got generator"
    yield (lambda: iter([])), "got none"


@pytest.mark.parametrize(("frames", "message"), list(bad_frames()), ids=lambda v: str(v)[:20])
def test_bad_frames_get_one_line(frames, message):
    with pytest.raises(ValueError, match=message) as caught:
        GaussianMixture(3).fit(frames)
    assert "\n" not in str(caught.value)


def test_no_regularisation_on_too_few_frames_is_an_error():
    x = np.random.default_rng(0).standard_normal((10, 20))
    with pytest.raises(ValueError, match="raise it, reduce the dimensions by PCA"):
        GaussianMixture(2, reg_covar=0.0).fit(x)


def test_initial_precisions_that_are_none():
    x, means = clusters(count=100)
    options = start_near(means, "full") | {"precisions_init": np.zeros((3, 5, 5))}
    with pytest.raises(ValueError, match="is not positive definite"):
        GaussianMixture(3, **options).fit(x)


@pytest.mark.parametrize("shape", [(2, 5), (3, 4), (3,)])
def test_given_means_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"means_init: got .*; expected \(3, 5\)"):
        GaussianMixture(3, means_init=np.zeros(shape)).fit(clusters()[0])


def test_given_means_keep_their_order():
    x, means = clusters(count=900, spread=8.0)
    order = [2, 0, 1]
    found = GaussianMixture(3, means_init=means[order]).fit(x)
    assert found.n_iter_ <= 3  # weights and covariances begin as those of the same clusters
    np.testing.assert_allclose(found.parameters_.means, means[order], atol=0.3)


def test_unfitted_and_impossible_settings():
    with pytest.raises(ValueError, match="call fit first"):
        GaussianMixture(2).predict_proba(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="expected at least 1"):
        GaussianMixture(0)
    with pytest.raises(ValueError, match="expected one of full, tied, diag, spherical"):
        GaussianMixture(2, covariance_type="round").fit(np.random.default_rng(0).random((9, 2)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: the CUDA path is not exercised")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gpu_gives_what_the_cpu_gives(dtype):
    x, means = clusters(count=200_000, width=16, spread=1.0)
    options = start_near(means, "full") | {"tol": 0.0, "max_iter": 5}
    on_cpu = GaussianMixture(3, **options).fit(x.astype(dtype))
    on_gpu = GaussianMixture(3, device="cuda", **options).fit(x.astype(dtype))
    assert on_gpu.lower_bound_ == pytest.approx(on_cpu.lower_bound_, abs=1e-5)
    torch.testing.assert_close(
        on_gpu.parameters_.means.cpu(), on_cpu.parameters_.means, rtol=0, atol=1e-4
    )
