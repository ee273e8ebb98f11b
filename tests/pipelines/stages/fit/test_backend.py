"""`fit` with cuML: its k-means begins the mixture, once, and only where it may."""

from dataclasses import replace
from pathlib import Path

import fit_cases
import pytest
import torch

from pipelines.runtime.files.urls import read_prototypes
from pipelines.runtime.stage import record_of
from pipelines.stages.fit import candidate as fit_outcome
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.stage import fit
from pmam.clustering.kmeans import KMeansResult, kmeans

WIDTH, K = 10, 5
SETTINGS = FitSettings(k=K, pca=6, iterations=20, tolerance=1e-6)


@pytest.fixture
def stages(tmp_path: Path) -> tuple[str, str]:
    dataset = fit_cases.write_dataset(tmp_path, 12)
    rows = {
        key: fit_cases.frames_of(80, WIDTH, K, seed=n)
        for n, key in enumerate(fit_cases.keys(dataset))
    }
    return dataset, fit_cases.write_stage(tmp_path / "embed", [rows])


class SimulatedCuml:
    """Our own k-means under the name of cuML's, which no machine without a GPU has."""

    def __init__(self) -> None:
        self.given: list[torch.Tensor] = []
        self.asked: list[str] = []

    def on_gpu(self, frames, backend, device):  # type: ignore[no-untyped-def]
        self.asked.append(backend)
        return None if backend == "torch" else torch.cat(list(frames()))

    def kmeans(self, x, components, *, tolerance, **options) -> KMeansResult:  # type: ignore[no-untyped-def]
        self.given.append(x)
        return kmeans(x, components, tolerance=1e-4, **options)


@pytest.fixture
def cuml(monkeypatch: pytest.MonkeyPatch) -> SimulatedCuml:
    simulated = SimulatedCuml()
    monkeypatch.setattr(fit_outcome, "on_gpu", simulated.on_gpu)
    monkeypatch.setattr(fit_outcome, "cuml_kmeans", simulated.kmeans)
    return simulated


def test_the_mixture_begins_where_cuml_ended(
    stages: tuple[str, str], tmp_path: Path, cuml: SimulatedCuml
) -> None:
    found = fit(*stages, str(tmp_path / "auto"), SETTINGS)
    assert [x.shape[1] for x in cuml.given] == [SETTINGS.pca]
    expected = fit(*stages, str(tmp_path / "torch"), replace(SETTINGS, backend="torch"))
    assert len(cuml.given) == 1 and cuml.asked == ["auto", "torch"]
    one, other = (record_of(url)["result"]["log_likelihood"] for url in (found, expected))
    assert one == pytest.approx(other, abs=1e-4)  # clusters far apart: any k-means finds them


def test_kmeans_prototypes_are_the_centres_of_cuml(
    stages: tuple[str, str], tmp_path: Path, cuml: SimulatedCuml
) -> None:
    settings = replace(SETTINGS, kind="kmeans", backend="cuml")
    url = fit(*stages, str(tmp_path / "out"), settings)
    expected = kmeans(cuml.given[0], K, seed=settings.seed, max_iterations=settings.iterations)
    torch.testing.assert_close(read_prototypes(url).means, expected.centers, check_dtype=False)


def test_cuml_is_refused_where_it_cannot_be(stages: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got backend = cuml with workers = 2; expected torch"):
        replace(SETTINGS, backend="cuml", workers=2)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"got cuml on device cpu; expected cuML .* take the"):
            fit(*stages, str(tmp_path / "out"), replace(SETTINGS, backend="cuml"))
