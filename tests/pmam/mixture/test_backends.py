"""The choice of a backend, and our calls of cuML against what its sources say they are."""

import ast
import importlib.util
import inspect
import os
import re
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch
from gmm_cases import clusters

from pmam.clustering.kmeans import kmeans
from pmam.clustering.pca import fit_projection, moments
from pmam.mixture import cuml as cuml_backend
from pmam.mixture.backends import fit_kmeans, fit_pca

SOURCES = {"KMeans": "cuml/cluster/kmeans.pyx", "PCA": "cuml/decomposition/pca.pyx"}


@pytest.fixture
def cuml_sources():
    """The text of the two estimators, out of an installed cuML or the wheel of one."""
    spec = importlib.util.find_spec("cuml")
    if spec is not None and spec.origin:
        root = Path(spec.origin).parent.parent
        return {name: (root / path).read_text() for name, path in SOURCES.items()}
    wheel = os.environ.get("PMAM_CUML_WHEEL")
    if not wheel:
        pytest.skip("no cuML sources: install the extra gpu, or set PMAM_CUML_WHEEL to its wheel")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(path).decode() for name, path in SOURCES.items()}


def signature_of(source, class_name, method):
    """The signature of a method, out of Cython text that Python cannot parse as a whole."""
    body = source[re.search(rf"^class {class_name}\b", source, re.M).start() :]
    header = re.search(rf"^    def {method}\(.*?\)(?: -> [^\n]*)?:$", body, re.M | re.S).group()
    arguments = ast.parse(header.strip() + " pass").body[0].args
    kinds = inspect.Parameter
    found = [kinds(a.arg, kinds.POSITIONAL_OR_KEYWORD) for a in arguments.args]
    for index in range(len(arguments.defaults)):
        found[-1 - index] = found[-1 - index].replace(default=None)
    found += [kinds(a.arg, kinds.KEYWORD_ONLY, default=None) for a in arguments.kwonlyargs]
    return inspect.Signature(found)


class Recorded:
    """An estimator of the fake cuML: holds our calls against signatures, answers with torch."""

    signatures: ClassVar[dict] = {}
    given: ClassVar[list] = []

    def __init__(self, *args, **kwargs):
        self.signatures[f"{type(self).__name__}.__init__"].bind(self, *args, **kwargs)
        self.options = kwargs

    def fit(self, *args):
        self.signatures[f"{type(self).__name__}.fit"].bind(self, *args)
        self.given.append((type(self).__name__, args[0]))
        for name, value in self.attributes(args[0]).items():
            setattr(self, name, value)
        return self


class KMeans(Recorded):
    def attributes(self, x):
        found = kmeans(x, self.options["n_clusters"], seed=self.options["random_state"])
        return {"cluster_centers_": found.centers.to(x), "n_iter_": found.iterations}


class PCA(Recorded):
    def attributes(self, x):
        assert x.T.is_contiguous()  # or cuML copies
        variances, axes = torch.linalg.eigh(x.double().T.cov())
        kept = self.options["n_components"]
        components = axes.T.flip(0)[:kept]
        largest = components.abs().argmax(dim=1, keepdim=True)
        return {
            "components_": components * components.gather(1, largest).sign(),
            "explained_variance_": variances.flip(0)[:kept],
        }


def any_signature():
    kinds = inspect.Parameter
    return inspect.Signature(
        [kinds("args", kinds.VAR_POSITIONAL), kinds("kwargs", kinds.VAR_KEYWORD)]
    )


@pytest.fixture
def fake_cuml(monkeypatch):
    """A cuML that runs on the CPU; arrays come by `cupy.from_dlpack`, here torch's own."""
    modules = {name: ModuleType(name) for name in ("cuml", "cuml.cluster", "cuml.decomposition")}
    modules["cuml.cluster"].KMeans = KMeans
    modules["cuml.decomposition"].PCA = PCA
    modules["cupy"] = ModuleType("cupy")
    modules["cupy"].from_dlpack = torch.from_dlpack
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    names = [f"{c}.{m}" for c in SOURCES for m in ("__init__", "fit")]
    monkeypatch.setattr(Recorded, "signatures", {name: any_signature() for name in names})
    monkeypatch.setattr(Recorded, "given", [])
    return Recorded


def calls(x):
    """Every call of cuML that we make; what they answer."""
    found = cuml_backend.cuml_kmeans(
        x, 3, seed=1, max_iterations=50, tolerance=1e-4, seeding="k-means||"
    )
    projections = [
        cuml_backend.cuml_projection(x, 2, standardise=standardise, whiten=whiten)
        for standardise in (False, True)
        for whiten in (False, True)
    ]
    return found, projections


def test_our_calls_fit_the_signatures_of_the_sources(cuml_sources, fake_cuml):
    for name, source in cuml_sources.items():
        for method in ("__init__", "fit"):
            fake_cuml.signatures[f"{name}.{method}"] = signature_of(source, name, method)
    calls(torch.from_numpy(clusters()[0]))
    assert [name for name, _ in fake_cuml.given] == ["KMeans", "PCA", "PCA", "PCA", "PCA"]
    for name, attributes in {
        "KMeans": ("cluster_centers_", "n_iter_"),
        "PCA": ("components_", "explained_variance_"),
    }.items():
        for attribute in attributes:
            assert f"self.{attribute} = " in cuml_sources[name]
    for seeding in ("k-means||", "k-means++"):
        assert f"'{seeding}'" in cuml_sources["KMeans"]


def test_a_call_that_does_not_fit_is_noticed(fake_cuml):
    signature = inspect.signature(lambda self, *, n_clusters=8: None)
    fake_cuml.signatures["KMeans.__init__"] = signature
    with pytest.raises(TypeError, match="unexpected keyword"):
        calls(torch.from_numpy(clusters()[0]))


def test_answers_become_ours_and_frames_go_without_a_copy(fake_cuml):
    x = torch.from_numpy(clusters()[0])
    found, projections = calls(x)
    ours = kmeans(x, 3, seed=1)
    torch.testing.assert_close(found.centers, ours.centers)
    assert found.inertia == pytest.approx(ours.inertia)
    assert fake_cuml.given[0][1].data_ptr() == x.data_ptr()
    choices = [(s, w) for s in (False, True) for w in (False, True)]
    for projection, (standardise, whiten) in zip(projections, choices, strict=True):
        expected = fit_projection(moments(x), 2, standardise=standardise, whiten=whiten)
        torch.testing.assert_close(projection.apply(x), expected.apply(x), rtol=0, atol=1e-9)


def test_auto_takes_torch_where_no_gpu_is(monkeypatch):
    monkeypatch.setattr(cuml_backend, "cuml_usable", lambda: False)
    x, _ = clusters()
    assert torch.equal(fit_kmeans(x, 3, seed=2).centers, kmeans(x, 3, seed=2).centers)
    assert torch.equal(fit_pca(x, 2).components, fit_projection(moments(x), 2).components)
    with pytest.raises(ValueError, match=r"got cuml on device any; expected cuML .* and a GPU"):
        fit_kmeans(x, 3, backend="cuml")


def test_auto_takes_cuml_where_it_is_and_the_frames_fit(fake_cuml, monkeypatch):
    monkeypatch.setattr(cuml_backend, "cuml_usable", lambda: True)
    monkeypatch.setattr(cuml_backend, "room_for_frames", lambda: 10**6)
    gathered = cuml_backend.gathered
    monkeypatch.setattr(cuml_backend, "gathered", lambda f, room, _: gathered(f, room, "cpu"))
    x, _ = clusters()
    blocks = [x[:200], x[200:]]
    fit_kmeans(lambda: blocks, 3)
    fit_pca(lambda: blocks, 2)
    assert [name for name, _ in fake_cuml.given] == ["KMeans", "PCA"]
    np.testing.assert_array_equal(fake_cuml.given[0][1], x)
    fit_kmeans(x, 3, backend="torch")
    fit_kmeans(x, 3, device="cpu")
    monkeypatch.setattr(cuml_backend, "room_for_frames", lambda: x.nbytes)
    fit_kmeans(x, 3)  # too many for half of that room: torch streams them
    assert len(fake_cuml.given) == 2
    with pytest.raises(ValueError, match="got more frames than cuml holds"):
        fit_pca(x, 2, backend="cuml")


@pytest.mark.skipif(
    not cuml_backend.cuml_usable(), reason="no cuML with a GPU: the cuML path is not exercised"
)
def test_cuml_on_a_gpu_finds_what_torch_finds():
    x = torch.from_numpy(clusters(count=20_000, width=16, components=6)[0]).cuda().float()
    ours, theirs = (
        fit_kmeans(x, 6, backend=backend, seeding="k-means||") for backend in ("torch", "cuml")
    )
    assert theirs.inertia <= 1.1 * ours.inertia
    expected = fit_pca(x, 4, backend="torch")
    found = fit_pca(x, 4, backend="cuml")
    torch.testing.assert_close(found.apply(x), expected.apply(x), rtol=0, atol=1e-2)
