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
from pmam.mixture import cuml as cuml_backend

SOURCES = {"KMeans": "cuml/cluster/kmeans.pyx"}


@pytest.fixture
def cuml_sources():
    """The text of the estimator, out of an installed cuML or the wheel of one."""
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


def any_signature():
    kinds = inspect.Parameter
    return inspect.Signature(
        [kinds("args", kinds.VAR_POSITIONAL), kinds("kwargs", kinds.VAR_KEYWORD)]
    )


@pytest.fixture
def fake_cuml(monkeypatch):
    """A cuML that runs on the CPU; arrays come by `cupy.from_dlpack`, here torch's own."""
    modules = {name: ModuleType(name) for name in ("cuml", "cuml.cluster")}
    modules["cuml.cluster"].KMeans = KMeans
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
    return cuml_backend.cuml_kmeans(x, 3, seed=1, max_iterations=50, tolerance=1e-4)


def test_our_calls_fit_the_signatures_of_the_sources(cuml_sources, fake_cuml):
    for name, source in cuml_sources.items():
        for method in ("__init__", "fit"):
            fake_cuml.signatures[f"{name}.{method}"] = signature_of(source, name, method)
    calls(torch.from_numpy(clusters()[0]))
    assert [name for name, _ in fake_cuml.given] == ["KMeans"]
    for name, attributes in {
        "KMeans": ("cluster_centers_", "n_iter_"),
    }.items():
        for attribute in attributes:
            assert f"self.{attribute} = " in cuml_sources[name]
    assert "'k-means++'" in cuml_sources["KMeans"]


def test_a_call_that_does_not_fit_is_noticed(fake_cuml):
    signature = inspect.signature(lambda self, *, n_clusters=8: None)
    fake_cuml.signatures["KMeans.__init__"] = signature
    with pytest.raises(TypeError, match="unexpected keyword"):
        calls(torch.from_numpy(clusters()[0]))


def test_answers_become_ours_and_frames_go_without_a_copy(fake_cuml):
    x = torch.from_numpy(clusters()[0])
    found = calls(x)
    ours = kmeans(x, 3, seed=1)
    torch.testing.assert_close(found.centers, ours.centers)
    assert found.inertia == pytest.approx(ours.inertia)
    assert fake_cuml.given[0][1].data_ptr() == x.data_ptr()


def test_auto_takes_torch_where_no_gpu_is(monkeypatch):
    monkeypatch.setattr(cuml_backend, "cuml_usable", lambda: False)
    x, _ = clusters()
    assert cuml_backend.on_gpu(x, "auto", None) is None
    with pytest.raises(ValueError, match=r"got cuml on device any; expected cuML .* and a GPU"):
        cuml_backend.on_gpu(x, "cuml", None)


def test_auto_takes_cuml_where_it_is_and_the_frames_fit(monkeypatch):
    monkeypatch.setattr(cuml_backend, "cuml_usable", lambda: True)
    monkeypatch.setattr(cuml_backend, "room_for_frames", lambda: 10**6)
    gathered = cuml_backend.gathered
    monkeypatch.setattr(cuml_backend, "gathered", lambda f, room, _: gathered(f, room, "cpu"))
    x, _ = clusters()
    blocks = [x[:200], x[200:]]
    np.testing.assert_array_equal(cuml_backend.on_gpu(lambda: blocks, "auto", None), x)
    assert cuml_backend.on_gpu(x, "torch", None) is None
    assert cuml_backend.on_gpu(x, "auto", "cpu") is None
    monkeypatch.setattr(cuml_backend, "room_for_frames", lambda: x.nbytes)
    # Too many for half of that room: torch streams them.
    assert cuml_backend.on_gpu(x, "auto", None) is None
    with pytest.raises(ValueError, match="got more frames than cuml holds"):
        cuml_backend.on_gpu(x, "cuml", None)


@pytest.mark.skipif(
    not cuml_backend.cuml_usable(), reason="no cuML with a GPU: the cuML path is not exercised"
)
def test_cuml_on_a_gpu_finds_what_torch_finds():
    x = torch.from_numpy(clusters(count=20_000, width=16, components=6)[0]).cuda().float()
    theirs = cuml_backend.cuml_kmeans(x, 6, seed=0, max_iterations=100, tolerance=1e-4)
    assert theirs.inertia <= 1.1 * kmeans(x, 6, seed=0).inertia
