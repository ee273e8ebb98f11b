import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as Reference

from pipelines.runtime.files.urls import read_prototypes, write_prototypes
from pmam.clustering.pca import fit_projection, moments
from pmam.mixture.diagnostics import Diagnostics, complaints
from pmam.mixture.gaussian_mixture import GaussianMixture
from pmam.prototypes.artifact import DESCRIPTION, TENSORS, Prototypes, diagnose
from shards.io.store import Store


def embeddings(count=900, width=6, components=3, seed=0, spread=3.0):
    generator = np.random.default_rng(seed)
    centers = spread * np.random.default_rng(99).standard_normal((components, width))
    labels = generator.integers(components, size=count)
    x = centers[labels] + generator.standard_normal((count, width))
    return torch.from_numpy(x).float()


def fitted(covariance_type="full", dimensions=4, components=3):
    x = embeddings()
    projection = fit_projection(moments(x), dimensions) if dimensions else None
    reduced = projection.apply(x) if projection else x
    mixture = GaussianMixture(components, covariance_type=covariance_type).fit(reduced)
    parameters = mixture.parameters_
    return Prototypes(
        kind="gmm",
        weights=parameters.weights,
        means=parameters.means,
        covariance_type=covariance_type,
        covariances=parameters.covariances,
        projection=projection,
        encoder="mn04:abc",
        log_likelihoods=mixture.log_likelihoods_,
    )


def clustered():
    x = embeddings()
    return Prototypes(kind="kmeans", weights=torch.ones(3).double() / 3, means=x[:3].double())


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("dimensions", [None, 4])
def test_saved_and_loaded_gives_the_same_posteriors(tmp_path, covariance_type, dimensions):
    prototypes = fitted(covariance_type, dimensions)
    prototypes = replace(prototypes, diagnostics=diagnose(prototypes, embeddings(seed=1)))
    write_prototypes(Store.local(tmp_path / "fit"), prototypes)
    loaded = read_prototypes(str(tmp_path / "fit"))
    x = embeddings(seed=2)
    assert torch.equal(loaded.posteriors(x), prototypes.posteriors(x))
    assert loaded.log_likelihoods == prototypes.log_likelihoods
    assert loaded.diagnostics == prototypes.diagnostics
    assert loaded.encoder == "mn04:abc"
    names = sorted(path.name for path in (tmp_path / "fit").iterdir())
    assert names == [DESCRIPTION, TENSORS]


def test_a_temperature_softens_posteriors_and_is_kept(tmp_path):
    """What is most probable stays so, and so does the density."""
    sharp, x = fitted(), embeddings(seed=2)
    write_prototypes(Store.local(tmp_path), replace(sharp, temperature=20.0))
    soft = read_prototypes(str(tmp_path))
    assert soft.temperature == 20
    posteriors = soft.posteriors(x)
    assert torch.allclose(posteriors.sum(dim=1), torch.ones(len(x)))
    assert torch.equal(posteriors.argmax(dim=1), sharp.posteriors(x).argmax(dim=1))
    before, after = diagnose(sharp, x), diagnose(soft, x)
    assert after.mean_entropy > 5 * before.mean_entropy
    assert after.mean_max_posterior < before.mean_max_posterior
    assert after.log_likelihood == before.log_likelihood
    powers = sharp.evaluate(x)[0] ** (1 / 20)  # the definition, where nothing is 0
    powers = (powers / powers.sum(dim=1, keepdim=True)).float()
    exact = (sharp.evaluate(x)[0] > 0).all(dim=1)
    assert exact.sum() > 100
    assert torch.allclose(posteriors[exact], powers[exact], atol=1e-6)
    with pytest.raises(ValueError, match="temperature -1; expected a number above 0"):
        replace(sharp, temperature=-1)
    with pytest.raises(ValueError, match="kmeans with a temperature of 2"):
        replace(clustered(), temperature=2.0)


def test_kmeans_is_one_hot_at_the_nearest(tmp_path):
    write_prototypes(Store.local(tmp_path), clustered())
    loaded = read_prototypes(str(tmp_path))
    x = embeddings(seed=2)
    posteriors = loaded.posteriors(x)
    assert posteriors.dtype == torch.float32
    assert ((posteriors == 0) | (posteriors == 1)).all()
    assert (posteriors.sum(dim=1) == 1).all()
    assert torch.equal(posteriors.argmax(dim=1), torch.cdist(x.double(), loaded.means).argmin(1))
    with pytest.raises(ValueError, match="without covariances"):
        _ = loaded.mixture


def test_posteriors_are_those_of_scikit_learn_after_the_projection():
    prototypes = fitted()
    x = embeddings(seed=3)
    reference = Reference(3)
    reference.weights_ = prototypes.weights.numpy()
    reference.means_ = prototypes.means.numpy()
    reference.precisions_cholesky_ = prototypes.mixture.precision_factors.numpy()
    expected = reference.predict_proba(prototypes.projection.apply(x.double()).numpy())
    found = prototypes.posteriors(x.reshape(3, 300, 6))
    assert found.shape == (3, 300, 3)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.reshape(900, 3), expected, atol=1e-4)


def test_no_frames_have_no_posteriors():
    assert fitted().posteriors(torch.zeros(2, 0, 6)).shape == (2, 0, 3)


def test_means_in_feature_space_project_back_onto_the_means():
    prototypes = fitted()
    features = prototypes.means_in_feature_space()
    assert features.shape == (3, 6)
    torch.testing.assert_close(prototypes.projection.apply(features), prototypes.means)
    nearest = torch.cdist(features, embeddings().double()).amin(dim=1)
    assert (nearest < 2).all()  # they lie among the frames
    plain = fitted(dimensions=None)
    assert torch.equal(plain.means_in_feature_space(), plain.means)


def test_diagnostics_by_the_definition():
    prototypes, held_out = fitted(), embeddings(seed=4)
    found = diagnose(prototypes, lambda: held_out.split(128))
    posteriors = prototypes.posteriors(held_out).double()
    entropy = torch.distributions.Categorical(posteriors).entropy().mean()
    assert found.frames == 900
    assert found.components_in_use == found.components == 3
    assert found.mean_max_posterior == pytest.approx(float(posteriors.amax(1).mean()), abs=1e-6)
    assert found.mean_entropy == pytest.approx(float(entropy), abs=1e-5)
    reduced = prototypes.projection.apply(held_out.double())
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(prototypes.weights),
        torch.distributions.MultivariateNormal(prototypes.means, prototypes.mixture.covariances),
    )
    assert found.log_likelihood == pytest.approx(float(mixture.log_prob(reduced).mean()), abs=1e-4)
    assert diagnose(clustered(), held_out).log_likelihood is None


def test_a_good_fit_has_no_complaints_and_a_degenerate_one_has():
    """Full covariance in 60 dimensions on 300 frames: the failure that full mixtures hide."""
    soft = embeddings(count=4000, spread=0.7)
    mixture = GaussianMixture(3, tol=1e-5).fit(soft)
    good = Prototypes(
        kind="gmm",
        weights=mixture.parameters_.weights,
        means=mixture.parameters_.means,
        covariance_type="full",
        covariances=mixture.parameters_.covariances,
    )
    held_out = embeddings(count=2000, seed=5, spread=0.7)
    assert complaints(diagnose(good, held_out), mixture.lower_bound_) == []

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(600, 60, generator=generator)
    mixture = GaussianMixture(10).fit(noise[:300])
    bad = Prototypes(
        kind="gmm",
        weights=mixture.parameters_.weights,
        means=mixture.parameters_.means,
        covariance_type="full",
        covariances=mixture.parameters_.covariances,
    )
    found = complaints(diagnose(bad, noise[300:]), mixture.lower_bound_)
    assert any(line.startswith("over-fitted") for line in found)
    assert any(line.startswith("one-hot") for line in found)
    assert all("\n" not in line for line in found)


def test_each_complaint_names_its_fault():
    fine = Diagnostics(
        frames=100,
        dimensions=48,
        components=30,
        log_likelihood=-60.0,
        components_in_use=30,
        mean_max_posterior=0.8,
        mean_entropy=0.5,
    )
    assert complaints(fine, -58.0) == []
    assert complaints(replace(fine, log_likelihood=float("nan")), -58.0)[0].startswith("over-fit")
    assert complaints(fine, -58.0 - 4 * fine.dimensions)[0].startswith("outliers")
    assert "11 of 30" in complaints(replace(fine, components_in_use=11), -58.0)[0]
    assert complaints(replace(fine, mean_entropy=3.39), -58.0)[0].startswith("uniform")
    one_hot = replace(fine, mean_max_posterior=0.996)
    assert complaints(one_hot, -58.0)[0].startswith("one-hot")
    assert complaints(replace(one_hot, log_likelihood=None), None) == []  # k-means is meant to be


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda d: (d / TENSORS).unlink(), FileNotFoundError, "expected prototypes: run fit"),
        (lambda d: (d / DESCRIPTION).unlink(), FileNotFoundError, "expected prototypes: run fit"),
        (lambda d: edit(d / DESCRIPTION, format_version=9), ValueError, "version 9; expected 2"),
        (lambda d: (d / DESCRIPTION).write_text("{"), ValueError, "is not JSON"),
        (lambda d: (d / DESCRIPTION).write_text("[]"), ValueError, "version None"),
        (lambda d: (d / TENSORS).write_bytes(b"x"), ValueError, "by sha256"),
        (lambda d: edit(d / DESCRIPTION, covariance_type="diag"), ValueError, "expected"),
        (lambda d: edit(d / DESCRIPTION, kind="tree"), ValueError, "got kind 'tree'"),
        (lambda d: edit(d / DESCRIPTION, diagnostics={"a": 1}), ValueError, "lacks or misnames"),
    ],
)
def test_loading_errors_are_one_line_and_name_the_file(tmp_path, damage, error, message):
    write_prototypes(Store.local(tmp_path), fitted())
    damage(tmp_path)
    with pytest.raises(error, match=message) as caught:
        read_prototypes(str(tmp_path))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_shapes_and_widths_are_checked():
    prototypes = fitted()
    with pytest.raises(ValueError, match="got width 5; expected 6"):
        prototypes.posteriors(torch.zeros(4, 5))
    with pytest.raises(ValueError, match=r"expected \(K,\) and \(K, D\)"):
        replace(prototypes, weights=prototypes.weights[:2])
    with pytest.raises(ValueError, match="full covariances"):
        replace(prototypes, covariances=prototypes.covariances[:2])
    with pytest.raises(ValueError, match="got a projection to 4 dimensions; expected 3"):
        replace(prototypes, means=prototypes.means[:, :3])
    with pytest.raises(ValueError, match="kmeans with covariances"):
        replace(prototypes, kind="kmeans")
