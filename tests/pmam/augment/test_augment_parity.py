"""The augmentations with the draws of the reference, against its numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity_rule import Array, load, mel, rng
from torch import Tensor

from pmam.augment.chain import ColourDraws, InputScale, colour
from pmam.augment.filter_augment import FilterDraws, filter_gain
from pmam.augment.frequency import DistortionDraws, distort
from pmam.augment.mixup import MixDraws, blend, hard_labels, soft_labels
from pmam.augment.settings import AugmentSettings
from pmam.augment.time_shift import frame_shift, pooled_shifts

ITEM = "07_data_augmentation"
# PMAM's log-mel is divided by 5.
SCALE = InputScale(hop_s=0.01, inputs_per_frame=1, nepers=torch.full((128,), 5.0))
PUBLISHED = AugmentSettings(
    filter_db=(-26.0, 26.0), distortion=0.03, filter_gain="published", distortion_per="batch"
)


def features(seed: int) -> Tensor:
    """`(4, 1000 frames, 128 mels)`."""
    return torch.from_numpy(mel(seed, 4)).transpose(1, 2)


def labels(seed: int) -> Tensor:
    """`(4, 1000 frames, 10 classes)`."""
    drawn = (rng("aug.labels", seed).random((4, 10, 20)) < 0.3).astype(np.float32)
    return torch.from_numpy(drawn.repeat(50, axis=2)).transpose(1, 2)


def assert_equals(
    ours: Tensor, fixture: tuple[dict[str, Any], dict[str, Array]], name: str
) -> None:
    """`ours (B, T, channels)` against `(B, channels, T)`, where it was stored."""
    meta, expected = fixture
    entry = meta["outputs"][name]
    full = ours.transpose(1, 2).numpy()
    assert list(full.shape) == entry["full_shape"]
    steps = [part.strip().removeprefix("::") for part in entry["subsample"].strip("[]").split(",")]
    stored = full[tuple(slice(None, None, int(s) if s != ":" else 1) for s in steps)]
    np.testing.assert_allclose(stored, expected[name], rtol=0, atol=entry["tolerance"])


def drawn_filter(draws: list[Any]) -> FilterDraws:
    """From a fixture's record: number of bands, starts of the bands, levels."""
    (_, _, bands), (_, _, starts), (_, _, levels) = draws
    assert len(starts) == bands[0] - 1
    return FilterDraws(
        starts=torch.tensor(starts), levels=torch.tensor(levels, dtype=torch.float32)
    )


def drawn_distortion(share: float, phase: float) -> DistortionDraws:
    return DistortionDraws(
        displacement=torch.tensor([share], dtype=torch.double),
        phase=torch.tensor([phase], dtype=torch.double),
    )


@pytest.fixture(scope="module")
def fixture(parity_dir: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    return load(parity_dir, ITEM)


@pytest.mark.parametrize("unit", [1, 4])
def test_frame_shift(fixture: tuple[dict[str, Any], dict[str, Array]], unit: int) -> None:
    seed = fixture[0]["seed"]
    gauss = rng("aug.gauss", seed)
    shifts = torch.tensor([int(float(gauss.standard_normal() * 90)) for _ in range(4)])
    assert shifts.tolist() == fixture[0]["inputs"][f"frame_shift_pool{unit}"]["int_shift"]
    if unit == 1:
        assert_equals(frame_shift(features(seed), shifts), fixture, "frame_shift_features")
    pooled = labels(seed)[:, ::unit]
    shifted = frame_shift(pooled, pooled_shifts(shifts, unit))
    assert_equals(shifted, fixture, f"frame_shift_labels_pool{unit}")


def test_mixup(fixture: tuple[dict[str, Any], dict[str, Array]]) -> None:
    seed = fixture[0]["seed"]
    share = float(np.clip(float(rng("aug.c", seed).beta(0.2, 0.2)), 0.05, 0.95))
    partner = rng("aug.perm", seed).permutation(4)
    draws = MixDraws(share=torch.full((4,), share), partner=torch.from_numpy(partner))
    assert_equals(blend(features(seed), draws), fixture, "mixup_features")
    assert_equals(soft_labels(labels(seed), draws), fixture, "mixup_labels_soft")
    assert_equals(hard_labels(labels(seed), draws), fixture, "mixup_labels_hard")


@pytest.mark.parametrize("bands", [2, 3, 4])
@pytest.mark.parametrize("shape", ["step", "linear"])
def test_filter_as_published(
    fixture: tuple[dict[str, Any], dict[str, Array]], shape: str, bands: int
) -> None:
    meta, expected = fixture
    name = f"filt_{shape}_nb{bands}"
    settings = AugmentSettings(
        filter_db=(-26.0, 26.0),
        filter_shape="step" if shape == "step" else "linear",
        filter_gain="published",
    )
    draws = drawn_filter(meta["inputs"][name]["drawn"])
    added = filter_gain(draws, 128, settings) / 5
    tolerance = meta["outputs"][f"{name}_delta"]["tolerance"]
    np.testing.assert_allclose(added, expected[f"{name}_delta"], rtol=0, atol=tolerance)
    plan = ColourDraws(distortion=None, filter=draws, masked_mels=None, noise=None)
    assert_equals(colour(features(meta["seed"]), plan, settings, SCALE), fixture, name)


def test_linear_filter_of_positive_numbers(
    fixture: tuple[dict[str, Any], dict[str, Array]],
) -> None:
    meta, expected = fixture
    settings = AugmentSettings(filter_db=(0.5, 2.0), filter_shape="linear", filter_gain="published")
    added = filter_gain(drawn_filter(meta["inputs"]["filt_linear_pos"]["drawn"]), 128, settings) / 5
    tolerance = meta["outputs"]["filt_linear_pos_delta"]["tolerance"]
    np.testing.assert_allclose(added, expected["filt_linear_pos_delta"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_distortion(fixture: tuple[dict[str, Any], dict[str, Array]], case: int) -> None:
    meta = fixture[0]
    drawn = meta["inputs"][f"freq_nonlinear_{case}"]
    draws = drawn_distortion(drawn["bias"], drawn["phase"])
    assert_equals(distort(features(meta["seed"]), draws), fixture, f"freq_nonlinear_{case}")


@pytest.mark.parametrize("copies", [1, 2])
def test_whole_chains(fixture: tuple[dict[str, Any], dict[str, Array]], copies: int) -> None:
    """Distortion, then the filter; the second version draws after the first."""
    meta = fixture[0]
    drawn = meta["inputs"][f"chain_n{copies}"]
    uniform = drawn["random.random calls in order [bias/0.03, phase] per transform"]
    for copy in range(copies):
        draws = ColourDraws(
            distortion=drawn_distortion(0.03 * uniform[2 * copy], uniform[2 * copy + 1]),
            filter=drawn_filter(drawn["torch draws in order"][3 * copy : 3 * copy + 3]),
            masked_mels=None,
            noise=None,
        )
        ours = colour(features(meta["seed"]), draws, PUBLISHED, SCALE)
        assert_equals(ours, fixture, f"chain_n{copies}_{copy}")
