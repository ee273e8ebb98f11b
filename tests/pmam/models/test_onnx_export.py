"""Detectors as ONNX give the same probabilities in ONNX Runtime."""

import json
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from pmam.encoders.registry import ENCODERS
from pmam.encoders.settings import EncoderSettings
from pmam.errors import InputError
from pmam.models import onnx_export
from pmam.models.backbone import Backbone
from pmam.models.context.registry import CONTEXTS
from pmam.models.detector import DetectorModel, FrameDetector
from pmam.models.onnx_export import INPUT, ExportError, OnnxDetector, export_onnx
from pmam.models.settings import ContextSettings, ModelSettings
from pmam.weak_labels.detector import build_weak
from pmam.weak_labels.registry import NETWORKS
from pmam.weak_labels.settings import WeakNetworkSettings

Kind = TypeVar("Kind", bound=FrameDetector)
WINDOW_S = 2.0


def calibrated(detector: Kind) -> Kind:
    """Scales as of no other encoder, and logits that fill the range of probabilities."""
    calibration = detector.encoder.calibration
    generator = torch.Generator().manual_seed(2)
    calibration.mean.normal_(generator=generator)
    calibration.scale.uniform_(0.5, 2, generator=generator)
    if calibration.reduces:
        calibration.components.normal_(generator=generator)
    calibration.fitted.fill_(True)
    return detector.eval()


def built(encoder: str, network: str, **more: Any) -> DetectorModel:
    torch.manual_seed(1)
    context = ContextSettings(network=network, width=16, layers=2, heads=2, hidden=16)
    settings = ModelSettings(encoder=EncoderSettings(name=encoder, **more), context=context)
    detector = DetectorModel(Backbone(settings), ("cat", "dog"))
    with torch.no_grad():
        detector.classifier.weight.mul_(5)
    return calibrated(detector)


def scores(found: OnnxDetector, waveform: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(found.model, providers=["CPUExecutionProvider"])
    outputs: list[np.ndarray] = session.run(None, {INPUT: waveform.numpy()})
    return outputs


def agrees(detector: FrameDetector, window_s: float = WINDOW_S) -> OnnxDetector:
    """What it is exported to, after a comparison on sounds that the export has not seen."""
    found = export_onnx(detector, window_s=window_s, overlap_s=0.5)
    samples = int(found.metadata["window_samples"])
    assert samples == pytest.approx(window_s * detector.encoder.sample_rate_hz, rel=0.05)
    for batch in (1, 2, 5):
        level = torch.logspace(-3, 0, samples)
        waveform = level * torch.randn(batch, samples, generator=torch.Generator().manual_seed(7))
        with torch.inference_mode():
            ours = detector(detector.encoder.inputs(waveform))
        frames, clips = scores(found, waveform)
        assert np.abs(frames - ours.frames.numpy()).max() < 1e-4
        assert np.abs(clips - ours.clips.numpy()).max() < 1e-4
        assert frames.shape[1] == int(found.metadata["window_frames"])
        assert np.ptp(frames) > 0.01
    return found


@pytest.fixture(scope="module")
def exported() -> OnnxDetector:
    """Of the default context network; an export takes seconds."""
    return agrees(built("small_cnn", "transformer_xl"))


def test_what_the_file_says(exported: OnnxDetector) -> None:
    found = exported
    session = onnxruntime.InferenceSession(found.model, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.shape) == ("waveform", ["batch", 32000])
    assert [each.name for each in session.get_outputs()] == ["frames", "clips"]
    assert [each.shape for each in session.get_outputs()] == [["batch", 50, 2], ["batch", 2]]
    told = session.get_modelmeta().custom_metadata_map
    assert told == found.metadata
    assert json.loads(told["classes"]) == ["cat", "dog"]
    assert (told["sample_rate_hz"], float(told["hop_s"])) == ("16000", 0.04)
    assert (told["window_frames"], told["overlap_frames"]) == ("50", "12")
    assert json.loads(told["postprocess"])["method"] == "median"


@pytest.mark.slow
@pytest.mark.parametrize("network", sorted(CONTEXTS))
def test_every_context_network(network: str) -> None:
    agrees(built("small_cnn", network), 10.0)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_encoder(name: str) -> None:
    agrees(built(name, "gru"))


@pytest.mark.slow
def test_principal_components() -> None:
    agrees(built("mn04", "none", pca=8))


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(NETWORKS))
def test_every_network_for_weak_labels(model: str) -> None:
    settings = WeakNetworkSettings(model=model)  # type: ignore[arg-type]
    agrees(calibrated(build_weak(settings, ("a", "b", "c"))), 5.0)


def test_other_probabilities_are_refused(
    exported: OnnxDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an exporter does wrong: a program of other weights stands for it."""

    def program(*_arguments: Any, **_options: Any) -> SimpleNamespace:
        proto = onnx.load_from_string(exported.model)
        del proto.metadata_props[:]
        return SimpleNamespace(model_proto=proto)

    monkeypatch.setattr(torch.onnx, "export", program)
    detector = built("small_cnn", "transformer_xl")
    assert export_onnx(detector, window_s=WINDOW_S, overlap_s=0.5).metadata == exported.metadata
    with torch.no_grad():
        detector.classifier.bias.add_(1e-2)
    with pytest.raises(ExportError, match=r"probabilities differ by 0\.00"):
        export_onnx(detector, window_s=WINDOW_S, overlap_s=0.5)
    with torch.no_grad():
        detector.classifier.bias.fill_(torch.nan)
    with pytest.raises(ExportError, match="probabilities differ by nan"):
        export_onnx(detector, window_s=WINDOW_S, overlap_s=0.5)


class Odd(torch.nn.Linear):
    """A projector whose steps depend on what it hears."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        projected = super().forward(frames)
        return projected if frames.mean() > 0 else -projected


@pytest.mark.slow
def test_what_torch_cannot_write_is_told_in_one_line() -> None:
    detector = built("small_cnn", "none")
    detector.backbone.projector = Odd(96, 16)
    with pytest.raises(ExportError, match="torch cannot write this detector as ONNX") as error:
        export_onnx(detector, window_s=WINDOW_S, overlap_s=0)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(ExportError, match=r"needs no_such_package: .*--extra onnx"):
        export_onnx(built("small_cnn", "none"))


def test_windows_that_do_not_fit_are_refused() -> None:
    detector = built("small_cnn", "none")
    with pytest.raises(InputError, match="overlap"):
        export_onnx(detector, window_s=1, overlap_s=2)
    detector.encoder.most_input_frames = 100
    with pytest.raises(InputError, match="takes at most 1 s"):
        export_onnx(detector, window_s=30)
