"""PMAM's detector against the reference: with and without windows, padding, groups."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from parity_rule import Array, assert_close, load, mel
from passt_cases import detector_of, in_our_names
from torch import Tensor

from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.settings import SlidingSettings
from pmam.encoders.sliding_windows import slide, window_spans
from pmam.models.detector import DetectorModel
from pmam.models.settings import DetectorSettings
from pmam.training.settings import FINETUNE_ALL, FINETUNE_HEADS, GroupRates, OptimizerSettings
from pmam.training.trainer import optimizer_groups

# The reference leaves zeros behind its last window; ours keeps the frames of the whole there.
AS_PUBLISHED = SlidingSettings(frames=512, step=31, mix=0.5, zeros_behind=True)


@dataclass
class Run:
    """The detector of the fixture, and what it said of two clips."""

    meta: dict[str, Any]
    expected: dict[str, Array]
    detector: DetectorModel
    inputs: Tensor
    f_pool: Tensor
    frames: Tensor
    cnn_frames: Tensor
    projected: Tensor
    context: Tensor
    clip: Tensor


@pytest.fixture(scope="module")
def run(parity_dir: Path) -> Run:
    meta, expected = load(parity_dir, "04_passt_cnn_sed")
    detector = detector_of(meta)
    inputs = torch.from_numpy(mel(meta["seed"], 2)).transpose(1, 2)
    encoder = encoder_of(detector)
    kept: dict[str, Tensor] = {}
    hook = encoder.transformer.pool.register_forward_hook(
        lambda _module, _given, out: kept.update(f_pool=out)
    )
    with torch.inference_mode():
        encoded = encoder.encode(inputs)
        hook.remove()
        projected = detector.backbone.projector(encoded.frames)
        context = detector.backbone.context(projected)
        assert encoded.tokens is not None and detector.backbone.clip_pooling is not None
        clip = detector.backbone.clip_pooling(encoded.tokens)
    frames, cnn = (encoded.frames[..., encoder.parts[p]] for p in ("after_interpolate", "cnn"))
    return Run(
        meta, expected, detector, inputs, kept["f_pool"], frames, cnn, projected, context, clip
    )


def encoder_of(detector: DetectorModel) -> PaSSTCNNEncoder:
    encoder = detector.backbone.encoder
    assert isinstance(encoder, PaSSTCNNEncoder)
    return encoder


def tempered(detector: DetectorModel, temperature: float) -> DetectorModel:
    detector.settings = replace(detector.settings, temperature=temperature)
    return detector


@torch.inference_mode()
def test_outputs_match_the_reference(run: Run) -> None:
    close = (run.meta, run.expected)
    assert_close(*close, "f_pool", run.f_pool[:, ::5, ::7])
    assert_close(*close, "interpolated", run.frames[:, ::17, ::11])
    assert_close(*close, "decoder_in", run.projected[:, ::17, ::5])
    assert_close(*close, "decoder_out", run.context[:, ::17, ::5])
    assert_close(*close, "logit", run.detector.classifier(run.context)[:, ::3])
    said = tempered(run.detector, 0.5).classify(run.context, run.clip, None)
    assert_close(*close, "strong", said.frames.transpose(1, 2)[..., ::3])
    assert_close(*close, "weak", said.clips)
    assert said.branch is not None
    assert_close(*close, "at_out", said.branch)
    said = tempered(run.detector, 1.0).classify(run.context, run.clip, None)
    assert_close(*close, "temp1_weak", said.clips)


@torch.inference_mode()
def test_padded_frames_count_for_nothing_as_in_the_reference(run: Run) -> None:
    # The reference attends to padding too; our detector does not, but the head is the same.
    padding = torch.zeros(2, 1000, dtype=torch.bool)
    padding[1, 700:] = True
    said = tempered(run.detector, 0.5).classify(run.context, run.clip, padding)
    strong = said.frames.masked_fill(padding[..., None], 0.0)
    assert_close(run.meta, run.expected, "pad_strong", strong.transpose(1, 2)[..., ::7])
    assert_close(run.meta, run.expected, "pad_weak", said.clips)


@torch.inference_mode()
def test_sliding_windows_match_the_reference(run: Run) -> None:
    transformer = encoder_of(run.detector).transformer
    logmel, whole = run.inputs[:1].transpose(1, 2), run.frames[:1]
    mixed = slide(transformer.local_frames, logmel, whole, AS_PUBLISHED)
    local = 2 * mixed - whole
    assert_close(run.meta, run.expected, "win_local", local[:, ::17, ::11])
    assert_close(run.meta, run.expected, "win_local_tail", local[:, 980:, ::16])
    frames = torch.cat([mixed, run.cnn_frames[:1]], dim=-1)
    context = run.detector.backbone.context(run.detector.backbone.projector(frames))
    said = tempered(run.detector, 0.5).classify(context, run.clip[:1], None)
    assert_close(run.meta, run.expected, "win_strong", said.frames.transpose(1, 2)[..., ::3])
    assert_close(run.meta, run.expected, "win_weak", said.clips)
    assert said.branch is not None
    assert_close(run.meta, run.expected, "win_at_out", said.branch)


def test_windows_cover_what_the_reference_covers(parity_dir: Path) -> None:
    _, expected = load(parity_dir, "04_passt_cnn_sed")
    for step in (31, 49):
        count = torch.zeros(1000, dtype=torch.int16)
        for start, stop in window_spans(1000, replace(AS_PUBLISHED, step=step)):
            columns = (stop - start - 16) // 10 + 1
            count[start : start + 10 * columns] += 1
        assert torch.equal(count, torch.from_numpy(expected[f"win_coverage_{step}"]))


def trained(detector: DetectorModel, rates: GroupRates) -> dict[tuple[float, float], set[str]]:
    """Names of trained parameters by learning rate and weight decay."""
    names = {id(p): name for name, p in detector.named_parameters()}
    detector.requires_grad_(True)
    groups: dict[tuple[float, float], set[str]] = {}
    for group in optimizer_groups(detector, OptimizerSettings(groups=rates, weight_decay=1e-4)):
        members = {names[id(p)] for p in group["params"]}
        if members:
            groups.setdefault((group["lr"], group["weight_decay"]), set()).update(members)
    detector.requires_grad_(False)
    return groups


@pytest.mark.parametrize(
    ("stage", "rates"), [("finetune1", FINETUNE_HEADS), ("finetune2", FINETUNE_ALL)]
)
def test_optimizer_groups_match_the_reference(run: Run, stage: str, rates: GroupRates) -> None:
    expected: dict[tuple[float, float], set[str]] = {}
    for group in run.meta[f"optimizer_groups_{stage}"]:
        if group["lr"] > 0:
            names = in_our_names(group["trainable"])
            expected.setdefault((group["lr"], group["weight_decay"]), set()).update(names)
    assert trained(run.detector, rates) == expected


def test_a_detector_slides_in_evaluation_and_as_a_teacher(run: Run) -> None:
    teacher = replace(AS_PUBLISHED, step=49)
    detector = run.detector
    before = detector.settings
    detector.settings = DetectorSettings(sliding=AS_PUBLISHED, teacher_sliding=teacher)
    try:
        assert detector.sliding == AS_PUBLISHED
        detector.training = True
        assert detector.sliding is None
        detector.teaches = True
        assert detector.sliding == teacher
    finally:
        detector.settings, detector.teaches, detector.training = before, False, False
