"""Post-processing, label encoding, schedules and the moving average against the reference."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity_rule import Array, load, rng
from torch import nn

from pmam.events.decoding import decode
from pmam.events.event import Event
from pmam.events.median_filter import hard_mask, max_filter_frames, median_filter_frames, weak_mask
from pmam.events.postprocessing import smooth
from pmam.events.settings import PostprocessSettings
from pmam.events.targets import encode_published
from pmam.models.detector import linear_softmax
from pmam.objectives.following import follow
from pmam.training.schedules import (
    ema_decay,
    exponential_down,
    late_warm_up,
    linear_ramp,
    sigmoid_ramp,
)

ITEM = "08_postprocess_schedules"
HOP_S = 0.01
EPOCH = 20  # steps
Fixture = tuple[dict[str, Any], dict[str, Array]]


@pytest.fixture(scope="module")
def fixture(parity_dir: Path) -> Fixture:
    return load(parity_dir, ITEM)


@pytest.fixture(scope="module")
def scores(fixture: Fixture) -> tuple[np.ndarray, np.ndarray]:
    """Strong scores (3, 1000 frames, 10 classes) and clip probabilities (3, 10)."""
    seed = fixture[0]["seed"]
    noise = rng("post.noise", seed).standard_normal((3, 10, 1000))
    blocks = rng("post.blocks", seed)
    up = np.empty((3, 10, 1000))
    for b in range(3):
        for c in range(10):
            width = [7, 20, 45, 90, 200][(b + c) % 5]
            up[b, c] = np.repeat(blocks.standard_normal((1000 + width - 1) // width), width)[:1000]
    strong = (1 / (1 + np.exp(-(2 * up + 0.5 * noise)))).astype(np.float32)
    return strong.transpose(0, 2, 1), rng("post.weak", seed).random((3, 10)).astype(np.float32)


def assert_equals(ours: np.ndarray, fixture: Fixture, name: str, step: int = 1) -> None:
    meta, expected = fixture
    tolerance = meta["outputs"][name]["tolerance"]
    stored = ours if step == 1 else ours[:, ::step, :]
    np.testing.assert_allclose(stored, expected[name], rtol=0, atol=tolerance)


def test_psds_scores(fixture: Fixture, scores: tuple[np.ndarray, np.ndarray]) -> None:
    strong, weak = scores
    sizes = fixture[0]["median_window_frames"]
    masked = weak_mask(strong, weak)
    median = partial(median_filter_frames, sizes=sizes)
    ours = {
        "psds_raw": masked,
        "psds_post": np.stack([median(clip) for clip in masked]),
        "psds_post_nomask": np.stack([median(clip) for clip in strong]),
        "psds_post_max": np.stack([max_filter_frames(clip, sizes) for clip in masked]),
    }
    for name, full in ours.items():
        assert full.dtype == np.float32
        assert_equals(full, fixture, name, 7)


@pytest.mark.parametrize(("method", "name"), [("median", "psds_post"), ("max", "psds_post_max")])
def test_psds_scores_by_settings(
    fixture: Fixture, scores: tuple[np.ndarray, np.ndarray], method: Any, name: str
) -> None:
    meta = fixture[0]
    classes = meta["encoder"]["labels"]
    widths = zip(classes, meta["median_window_config"], strict=True)
    settings = PostprocessSettings(
        method=method,
        median_by_class_s={label: width / 156 * 10 for label, width in widths},
        odd_windows=False,
        clip_mask=True,
    )
    assert settings.sizes(classes, HOP_S) == meta["median_window_frames"]
    ours = [smooth(s, w, classes, HOP_S, settings) for s, w in zip(*scores, strict=True)]
    assert_equals(np.stack(ours), fixture, name, 7)


@pytest.fixture(scope="module")
def filtered(fixture: Fixture, scores: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The strong scores after the PSDS path: the reference's filter overwrites what it is given.

    So its F1 path filtered twice, here as in its evaluation.
    """
    sizes = fixture[0]["median_window_frames"]
    return np.stack([median_filter_frames(clip, sizes) for clip in scores[0]])


def odd(fixture: Fixture) -> list[int]:
    return [size + 1 - size % 2 for size in fixture[0]["median_window_frames"]]


def test_f1_scores(fixture: Fixture, filtered: np.ndarray) -> None:
    ours = [median_filter_frames(clip, odd(fixture), ends="repeated") for clip in filtered]
    assert_equals(np.stack(ours), fixture, "f1_median", 7)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_events(
    fixture: Fixture,
    scores: tuple[np.ndarray, np.ndarray],
    filtered: np.ndarray,
    threshold: float,
) -> None:
    meta = fixture[0]
    found = set()
    for index, (strong, weak) in enumerate(zip(filtered, scores[1], strict=True)):
        masked = hard_mask(strong, weak, threshold)
        smoothed = median_filter_frames(masked, odd(fixture), ends="repeated")
        events = decode(smoothed, meta["encoder"]["labels"], HOP_S, threshold=threshold)
        for event in events:
            times = (round(event.onset_s, 6), round(event.offset_s, 6))
            found.add((f"clip{index}.wav", event.label, *times))
    expected = {tuple(event) for event in meta["events"][str(threshold)]}
    assert len(expected) == meta["events_count"][str(threshold)]
    assert found == expected


def test_frame_targets(fixture: Fixture) -> None:
    meta = fixture[0]
    coder = meta["encoder"]
    events = [
        Event(onset_s=e["onset"], offset_s=e["offset"], label=e["event_label"])
        for e in meta["encode_events"]
    ]
    ours = encode_published(
        events, coder["labels"], coder["n_frames"], coder["sr"], coder["frame_hop"]
    )
    assert_equals(ours, fixture, "encode_strong")
    # Clip labels from those of frames, none of which is quite 0.
    clamped = torch.from_numpy(ours)[None].clamp(1e-5, 1)
    assert_equals(linear_softmax(clamped).numpy(), fixture, "pool_strong_labels")


def test_clip_labels_of_soft_frames(fixture: Fixture, filtered: np.ndarray) -> None:
    frames = torch.from_numpy(filtered).clamp(1e-5, 1)
    assert_equals(linear_softmax(frames).numpy(), fixture, "pool_soft")


@pytest.mark.parametrize(
    ("stage", "flat_epochs", "exponent", "warm_up_epochs"),
    [("post_pretrain", 10, -1.5, 0), ("finetune1", 10, -1.0, 0), ("finetune2", 15, -1.5, 1)],
)
def test_learning_rates(
    fixture: Fixture, stage: str, flat_epochs: int, exponent: float, warm_up_epochs: int
) -> None:
    name = f"lr_scale_{stage}"
    steps = len(fixture[1][name])
    ours = [
        exponential_down(step, steps, flat_epochs * EPOCH, exponent)
        * late_warm_up(step, warm_up_epochs * EPOCH)
        for step in range(steps)
    ]
    assert_equals(np.array(ours), fixture, name)


def test_consistency_weights(fixture: Fixture) -> None:
    """The reference counts steps from 1."""
    for name, ramp, epochs, weight in (
        ("self_weight_finetune1", linear_ramp, 8, 2.0),
        ("self_weight_finetune2", sigmoid_ramp, 15, 40.0),
    ):
        counts = np.arange(1, len(fixture[1][name]) + 1)
        ramped = np.array([ramp(count, epochs * EPOCH) for count in counts.tolist()])
        assert_equals(np.stack([counts, ramped, weight * ramped], axis=1), fixture, name)


def test_moving_average(fixture: Fixture) -> None:
    seed = fixture[0]["seed"]

    def weight(name: str) -> torch.Tensor:
        drawn = rng(name, seed).standard_normal((2, 3)).astype(np.float32)
        return torch.from_numpy(drawn)

    teacher, student = nn.Linear(3, 2), nn.Linear(3, 2)
    teacher.weight.data.copy_(weight("ema.teacher.0.weight"))
    found = []
    for step in range(2, 12):
        student.weight.data.copy_(weight(f"ema.student{step}.0.weight"))
        follow(teacher, student, ema_decay(step - 2, 0.999))
        found.append(teacher.weight.detach().numpy().copy())
    assert_equals(np.stack(found), fixture, "ema_weight_steps_2_to_11")


def test_statistics_are_averaged_unless_told_otherwise() -> None:
    for statistics, expected in ((True, 1.0), (False, 0.0)):
        teacher, student = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
        assert student.running_mean is not None and teacher.running_mean is not None
        student.running_mean.fill_(2.0)
        student.weight.data.fill_(3.0)
        follow(teacher, student, 0.5, statistics=statistics)
        assert teacher.running_mean.tolist() == [expected] * 2
        assert teacher.weight.tolist() == [2.0] * 2
