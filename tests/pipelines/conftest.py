"""Fixtures that tests of stages share: a small detector, a small source, refused commands."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
import torch
from bad_input_cases import flip, write_source
from detect_cases import CLASSES, noise
from tiny_run import tiny_settings

from pipelines.cli.main import main
from pipelines.run import RunResult, run
from pipelines.runtime.files.urls import store, write_checkpoint
from pmam.clustering.pca import moments
from pmam.encoders.settings import EncoderSettings
from pmam.events.settings import PostprocessSettings
from pmam.models.backbone import Backbone
from pmam.models.checkpoint import pack_detector, pack_encoder
from pmam.models.detector import DetectorModel
from pmam.models.settings import ContextSettings, ModelSettings

PROGRESS = re.compile(r"\d\d:\d\d:\d\d ")


@pytest.fixture(scope="module")
def detector() -> DetectorModel:
    """Random weights; each class is above 0.5 about half of the time."""
    torch.manual_seed(1)
    context = ContextSettings(width=16, layers=1, heads=2, hidden=16)
    settings = ModelSettings(encoder=EncoderSettings(name="small_cnn"), context=context)
    postprocess = PostprocessSettings(median_s=0.3)  # not the default
    detector = DetectorModel(Backbone(settings), CLASSES, postprocess=postprocess).eval()
    encoder = detector.backbone.encoder
    clip = torch.from_numpy(noise(10, seed=99)[None]).float()
    encoder.calibration.fit(moments(lambda: iter([encoder.raw(clip)[0]])))
    with torch.no_grad():
        logits = torch.logit(detector(encoder.inputs(clip)).frames[0], eps=1e-6)  # (frames, 3)
        scale = 2 / logits.std(dim=0)
        detector.classifier.bias.sub_(logits.mean(dim=0)).mul_(scale)
        detector.classifier.weight.mul_(scale[:, None])
    return detector


@pytest.fixture(scope="module")
def checkpoint(detector: DetectorModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("detector")
    write_checkpoint(store(str(folder)), "detector", pack_detector(detector))
    return str(folder / "detector")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail; returns the one line that it says."""

    def run(*arguments: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert ended.value.code == 2, err
        assert out == ""
        # What took half a minute on a busy machine has told so before.
        told = [line for line in err.splitlines(keepends=True) if not PROGRESS.match(line)]
        assert len(told) == 1 and told[0].startswith("pmam: error: "), err
        return told[0]

    return run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    write_source(folder / "source")
    main(["pack", str(folder / "source"), str(folder / "dataset")])
    return folder / "dataset"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`detector`, `encoder`, and `damaged`, a detector with a flipped byte."""
    folder = tmp_path_factory.mktemp("models")
    model = tiny_models.detector()
    write_checkpoint(store(str(folder)), "detector", pack_detector(model))
    write_checkpoint(store(str(folder)), "damaged", pack_detector(model))
    write_checkpoint(store(str(folder)), "encoder", pack_encoder(model.backbone.encoder))
    flip(folder / "damaged.safetensors", -9)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> tuple[Path, RunResult]:
    """A whole run, as small as one can be: its folder, and what it found."""
    out = tmp_path_factory.mktemp("run") / "out"
    return out, run(tiny_settings(), str(out))
