"""A detector as ONNX: samples in, probabilities out, the spectrogram inside."""

import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pmam.errors import InputError
from pmam.events.overlap_add import Windows
from pmam.models.detector import FrameDetector
from pmam.settings import to_json

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUTS = "waveform", ("frames", "clips")
LOGGERS = ("torch.onnx", "onnx_ir", "onnxscript")  # what they say is of their own working
TOLERANCE = 1e-4  # of a probability


class ExportError(InputError):
    """A detector that cannot be written as ONNX; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class OnnxDetector:
    """A detector in ONNX's format.

    Args:
        model: the file.
        metadata: what it says of itself, as it stands in the file.
        difference: the largest one of its probabilities from ours, on sounds of several levels.
    """

    model: bytes
    metadata: Mapping[str, str]
    difference: float


class _FromSamples(nn.Module):
    """Waveforms `(B, samples)` to frames `(B, T, classes)` and clips `(B, classes)`."""

    def __init__(self, detector: FrameDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        encoder = self.detector.encoder
        found = self.detector(encoder.calibration(encoder.raw(waveform)))
        return found.frames, found.clips


def export_onnx(
    detector: FrameDetector, *, window_s: float = 10.0, overlap_s: float = 2.0
) -> OnnxDetector:
    """The detector for windows of one length, any number of them at a time.

    The input `waveform (batch, samples)` are floats in [-1, 1] at the encoder's rate; the outputs
    are `frames (batch, frames, classes)` and `clips (batch, classes)`. The file's metadata tells
    classes, rate, hop, window and post-processing. Before it is returned, ONNX Runtime runs it.

    Args:
        detector: on the CPU.
        window_s: length of the windows, rounded to whole frames.
        overlap_s: of neighbouring windows, as the metadata advises it.

    Raises:
        ExportError: packages are missing, torch cannot write this detector, or what it writes
            gives other probabilities, by more than 1e-4.
        InputError: windows that the encoder does not take, or that do not overlap so.
    """
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ExportError(
            f"ONNX needs {', '.join(missing)}: install pmam with its extra onnx (uv sync --extra "
            "onnx, or pip install 'pmam[onnx]')"
        )
    encoder = detector.encoder
    encoder.check_length(window_s, "window_s")
    windows = Windows.of(window_s, overlap_s, encoder.hop_s)
    samples = windows.frames * round(encoder.hop_s * encoder.sample_rate_hz)
    sounds = _sounds(samples)
    model = _FromSamples(detector).eval()
    with torch.no_grad():
        expected = model(sounds)  # now, since tables of positions that are made must be real
        program = _program(model, sounds[:2])
    metadata = {
        "classes": json.dumps(detector.classes, ensure_ascii=False),
        "sample_rate_hz": str(encoder.sample_rate_hz),
        "hop_s": repr(encoder.hop_s),
        "window_samples": str(samples),
        "window_frames": str(windows.frames),
        "overlap_frames": str(windows.overlap),
        "postprocess": json.dumps(to_json(detector.postprocess), ensure_ascii=False),
    }
    proto = program.model_proto
    proto.producer_name = "pmam"
    for name, value in metadata.items():
        proto.metadata_props.add(key=name, value=value)
    data: bytes = proto.SerializeToString()
    difference = max(_difference(data, sounds[:n], [e[:n] for e in expected]) for n in (1, 3))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"as ONNX this detector's probabilities differ by {difference:.2g}, more than "
            f"{TOLERANCE:g}: use it from Python instead (pmam.Detector)"
        )
    return OnnxDetector(model=data, metadata=metadata, difference=difference)


def _sounds(samples: int) -> Tensor:
    """Noise, a tone in quiet noise, and near silence, `(3, samples)`."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3, samples, generator=generator)
    tone = 0.5 * torch.sin(0.3 * torch.arange(samples))
    return noise * torch.tensor([[0.2], [1e-2], [1e-5]]) + tone * torch.tensor([[0.0], [1.0], [0]])


def _program(model: nn.Module, sounds: Tensor) -> Any:
    """What torch's exporter makes of the model.

    Raises:
        ExportError: it cannot.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [each.level for each in loggers]
    try:
        with warnings.catch_warnings():  # of parts of torch that our models do not use
            warnings.simplefilter("ignore")
            for each in loggers:
                each.setLevel(logging.ERROR)
            return torch.onnx.export(
                model,
                (sounds,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except Exception as error:  # of many kinds, by the exporter's stage
        told = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ExportError(
            f"torch cannot write this detector as ONNX ({type(error).__name__}: {told}): use it "
            "from Python instead (pmam.Detector)"
        ) from error
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _difference(data: bytes, sounds: Tensor, expected: list[Tensor]) -> float:
    """The largest difference of probabilities that ONNX Runtime gives; NaN where there is one.

    Raises:
        ExportError: ONNX Runtime does not take the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        found = session.run(list(OUTPUTS), {INPUT: sounds.numpy()})
    except Exception as error:  # of onnxruntime's own kinds, one for each status
        told = str(error).replace("\n", " ")[:300]
        raise ExportError(f"ONNX Runtime does not take what torch wrote: {told}") from error
    pairs = zip(found, expected, strict=True)
    return float(max(np.abs(ours.numpy() - theirs).max() for theirs, ours in pairs))
