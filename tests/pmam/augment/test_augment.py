"""The augmentations: what they do to sounds and labels, and what they leave alone."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchaudio.functional import mask_along_axis_iid

from pmam.augment.chain import InputBatch, InputScale, augment, augment_once
from pmam.augment.filter_augment import FilterDraws, band_borders, draw_filter, filter_gain
from pmam.augment.frequency import DistortionDraws, distort, distorted_axis, frequency_mask
from pmam.augment.mixup import LEAST, MOST, draw_mix, hard_labels
from pmam.augment.noise import NoiseDraws, add_noise
from pmam.augment.settings import AugmentSettings
from pmam.augment.time_shift import (
    draw_shifts,
    draw_spans,
    frame_shift,
    inside,
    pooled_shifts,
    time_mask,
)

SCALE = InputScale(hop_s=0.01, inputs_per_frame=4, nepers=torch.full((8,), 5.0))
STRONG = AugmentSettings(
    frame_shift_s=0.3,
    mixup_share=1.0,
    time_mask_s=0.2,
    filter_db=(-12.0, 12.0),
    filter_least_mels=2,
    distortion=0.03,
    frequency_mask_mels=2,
    noise_snr_db=(10.0, 20.0),
)


Mask = Callable[[Tensor, Tensor], Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(clips: int = 6, frames: int = 20) -> InputBatch:
    """Clips whose every frame holds its own number, in inputs (four times) and in labels."""
    number = torch.arange(1.0, clips * frames + 1).view(clips, frames, 1)
    return InputBatch(
        inputs=number.repeat_interleave(4, dim=1).expand(-1, -1, 8).contiguous(),
        padding=torch.arange(frames)[None] >= torch.tensor([frames, 13, 1] * (clips // 3))[:, None],
        frames=number.expand(-1, -1, 2).contiguous(),
        clips=torch.zeros(clips, 2),
        kind=torch.tensor([0, 0, 0, 1, 1, -1])[:clips],
    )


def test_off_by_default() -> None:
    batch = examples()
    generator = seeded()
    student, teacher = augment(batch, AugmentSettings(), SCALE, generator)
    for version in (student, teacher, augment_once(batch, AugmentSettings(), SCALE, generator)):
        assert torch.equal(version.inputs, batch.inputs)
        assert torch.equal(version.frames, batch.frames)
    assert torch.equal(generator.get_state(), seeded().get_state()), "nothing may be drawn"


@pytest.mark.parametrize("seed", range(3))
def test_labels_follow_shifted_sounds_and_padding_stays(seed: int) -> None:
    batch = examples()
    settings = AugmentSettings(frame_shift_s=0.3)
    moved = augment_once(batch, settings, SCALE, seeded(seed))
    assert not torch.equal(moved.frames, batch.frames)
    assert torch.equal(moved.padding, batch.padding)
    # Every frame's label still is the number that is heard in it.
    heard = moved.inputs[:, ::4, :2]
    assert torch.equal(heard, moved.frames)
    assert torch.equal(moved.inputs[:, 3::4, :2], moved.frames)
    assert torch.equal(moved.frames[batch.padding], batch.frames[batch.padding])
    for before, after in zip(batch.frames, moved.frames, strict=True):
        assert torch.equal(before.sort(dim=0).values, after.sort(dim=0).values)


def test_a_shift_is_a_roll_where_nothing_is_padded() -> None:
    x = torch.randn(3, 11, 2)
    shifts = torch.tensor([-4, 0, 25])
    expected = torch.stack([clip.roll(int(s), 0) for clip, s in zip(x, shifts, strict=True)])
    assert torch.equal(frame_shift(x, shifts), expected)
    drawn = draw_shifts(4000, 90.0, 4, seeded())
    assert (drawn % 4 == 0).all()
    assert drawn.double().std() == pytest.approx(90, rel=0.05)


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.sampled_from([1, 2, 3, 4, 10, 50]))
def test_pooled_shifts_are_rounded_down(shifts: list[int], unit: int) -> None:
    assert pooled_shifts(torch.tensor([-110, -40, -1, 0, 3]), 4).tolist() == [-28, -10, -1, 0, 0]
    assert pooled_shifts(torch.tensor(shifts), unit).tolist() == [
        math.floor(shift / unit) for shift in shifts
    ]


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_mixup_stays_within_a_kind(labels: str) -> None:
    batch = replace(examples(), padding=torch.zeros(6, 20, dtype=torch.bool))
    batch = replace(batch, frames=(batch.frames % 2), clips=torch.eye(6, 2))
    settings = AugmentSettings(mixup_share=1.0, mixup_labels="soft" if labels == "soft" else "hard")
    mixed = augment_once(batch, settings, SCALE, seeded(5))
    draws = draw_mix(batch.kind, (10.0, 0.5), 1.0, seeded(5))
    assert torch.equal(batch.kind[draws.partner], batch.kind)
    assert draws.share[5] == 1 and torch.equal(mixed.inputs[5], batch.inputs[5])
    assert ((draws.share[:5] >= LEAST) & (draws.share[:5] <= MOST)).all()
    for clip in range(6):
        share, other = draws.share[clip], draws.partner[clip]
        inputs = share * batch.inputs[clip] + (1 - share) * batch.inputs[other]
        torch.testing.assert_close(mixed.inputs[clip], inputs)
        soft = share * batch.frames[clip] + (1 - share) * batch.frames[other]
        hard = torch.maximum(batch.frames[clip], batch.frames[other])
        torch.testing.assert_close(mixed.frames[clip], soft if labels == "soft" else hard)


def test_a_soft_label_of_a_clip_mixed_with_itself_stays() -> None:
    draws = draw_mix(torch.tensor([0]), (1.0, 1.0), 1.0, seeded())
    assert hard_labels(torch.tensor([[0.4]]), draws).item() == pytest.approx(0.4)


def test_mixup_happens_in_its_share_of_the_batches() -> None:
    kind = torch.zeros(4, dtype=torch.long)
    mixed = [bool((draw_mix(kind, (1, 1), 0.3, seeded(s)).share < 1).any()) for s in range(500)]
    assert sum(mixed) / 500 == pytest.approx(0.3, abs=0.06)


def test_silenced_frames_lose_their_labels() -> None:
    masked = augment_once(examples(), AugmentSettings(time_mask_s=0.4), SCALE, seeded(1))
    silent = masked.inputs[:, ::4, 0] == 0
    assert silent.any()
    assert (silent.sum(dim=1) <= 10).all()
    assert torch.equal(silent, masked.frames[..., 0] == 0)


@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 99))
def test_spans_lie_inside(size: int, most: int, seed: int) -> None:
    spans = draw_spans(20, size, most, seeded(seed))
    width = spans[:, 1] - spans[:, 0]
    assert (spans >= 0).all() and (spans <= size).all()
    assert (width >= 0).all() and (width <= min(most, size)).all()
    assert torch.equal(inside(spans, size).sum(dim=1), width)


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 99))
def test_bands_cover_all_channels_and_are_wide_enough(bands: int, least: int, seed: int) -> None:
    settings = AugmentSettings(filter_bands=(bands, bands), filter_least_mels=least)
    draws = draw_filter(2, 64, settings, seeded(seed))
    borders = band_borders(draws.starts, 64, least)
    widths = [b - a for a, b in pairwise(borders)]
    assert len(widths) == bands and sum(widths) == 64
    assert min(widths) >= least


def test_decibels_are_those_of_power() -> None:
    draws = FilterDraws(starts=torch.tensor([2]), levels=torch.tensor([[0.0, 1.0]]))
    settings = AugmentSettings(filter_db=(-10.0, 20.0), filter_least_mels=2)
    gain = filter_gain(draws, 8, settings)
    power = torch.exp(gain)[0].tolist()
    assert power == pytest.approx([0.1] * 4 + [100.0] * 4)
    half = filter_gain(draws, 8, replace(settings, filter_gain="published"))
    torch.testing.assert_close(half, gain / 2, atol=1e-4, rtol=0)


def test_a_linear_filter_is_finite_for_negative_decibels() -> None:
    draws = FilterDraws(starts=torch.tensor([0]), levels=torch.tensor([[0.0, 0.5, 1.0]]))
    settings = AugmentSettings(filter_db=(-20.0, 20.0), filter_least_mels=4, filter_shape="linear")
    gain_db = filter_gain(draws, 8, settings)[0] * 10 / math.log(10)
    expected = [-20, -40 / 3, -20 / 3, 0, 0, 20 / 3, 40 / 3, 20]
    assert gain_db.tolist() == pytest.approx(expected, abs=1e-4)


def test_distortion_bends_the_axis_and_its_inverse_reads_it() -> None:
    draws = DistortionDraws(displacement=torch.tensor([0.0, 0.1]), phase=torch.tensor([0.3, 0.8]))
    axis = distorted_axis(draws, 32)
    assert (axis.diff(dim=1) > 0).all()
    x = axis.float()[:, None]  # each channel holds where it goes
    y = distort(x, draws)
    inner = (torch.arange(32) >= axis[:, :1]) & (torch.arange(32) <= axis[:, -1:])
    expected = torch.arange(32.0).expand(2, 32)
    torch.testing.assert_close(y[:, 0][inner], expected[inner])
    assert torch.equal(y[0], x[0])


def test_channels_standardised_one_by_one_are_distorted_as_powers() -> None:
    """A spectrum that is flat in power stays flat, however channels were standardised."""
    nepers, level = torch.rand(8) + 0.5, torch.randn(8)
    scale = InputScale(hop_s=0.01, inputs_per_frame=4, nepers=nepers, level=level)
    flat = (level + 3.0 / nepers).expand(6, 80, 8)
    batch = replace(examples(), inputs=flat)
    out = augment_once(batch, AugmentSettings(distortion=0.1), scale, seeded()).inputs
    torch.testing.assert_close(out, flat)


def test_blanked_channels() -> None:
    out = frequency_mask(torch.ones(2, 3, 5), torch.tensor([[1, 3], [0, 0]]))
    assert out[0, 0].tolist() == [1, 0, 0, 1, 1]
    assert (out[1] == 1).all()


def test_noise_has_the_stated_ratio() -> None:
    x = 3 * torch.randn(2, 400, 50, generator=seeded(1)) + 7
    draws = NoiseDraws(
        snr_db=torch.tensor([20.0, 0.0]), noise=torch.randn(x.shape, generator=seeded(2))
    )
    added = (add_noise(x, draws) - x).std(dim=(1, 2))
    torch.testing.assert_close(added, torch.tensor([0.3, 3.0]), rtol=0.02, atol=0)


def test_student_and_teacher_hear_the_same_labels_in_other_colours() -> None:
    student, teacher = augment(examples(), STRONG, SCALE, seeded())
    assert torch.equal(student.frames, teacher.frames)
    assert torch.equal(student.padding, teacher.padding)
    assert not torch.equal(student.inputs, teacher.inputs)
    again, _ = augment(examples(), STRONG, SCALE, seeded())
    assert torch.equal(again.inputs, student.inputs)
    other, _ = augment(examples(), STRONG, SCALE, seeded(1))
    assert not torch.equal(other.inputs, student.inputs)
    finite: Tensor = torch.isfinite(student.inputs)
    assert finite.all()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="need log-mel inputs"):
        augment_once(
            examples(), AugmentSettings(distortion=0.03), replace(SCALE, nepers=None), seeded()
        )
    with pytest.raises(ValueError, match="at most the 8 mels"):
        draw_filter(1, 8, AugmentSettings(filter_bands=(3, 3)), seeded())
    for wrong in (
        {"frame_shift_s": -1.0},
        {"mixup_share": 1.5},
        {"mixup_beta": (0.0, 1.0)},
        {"filter_bands": (3, 2)},
        {"distortion": 0.2},
    ):
        with pytest.raises(ValueError, match="expected"):
            AugmentSettings(**wrong)


@pytest.mark.parametrize(("axis", "mask"), [(1, time_mask), (2, frequency_mask)])
def test_masks_are_those_of_torchaudio_where_its_draws_are_known(axis: int, mask: Mask) -> None:
    x, most = torch.rand(16, 50, 32, generator=seeded(2)) + 1, 20
    with torch.random.fork_rng():
        torch.manual_seed(7)
        expected = mask_along_axis_iid(x, most, 0.0, axis)
        torch.manual_seed(7)
        width = torch.rand(16) * most
        first = (torch.rand(16) * (x.shape[axis] - width)).long()
    out = mask(x, torch.stack([first, first + width.long()], dim=1))
    assert torch.equal(out, expected) and not torch.equal(out, x)


@given(st.integers(0, 1000))
def test_spans_are_as_long_as_torchaudio_draws_them_or_longer_by_one(seed: int) -> None:
    clips, size, most = 4000, 50, 4
    spans = draw_spans(clips, size, most, seeded(seed))
    ours = torch.bincount(spans[:, 1] - spans[:, 0], minlength=most + 1) / clips
    assert ours.sub(1 / (most + 1)).abs().max() < 0.05  # 0 to 4, as often
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        masked = mask_along_axis_iid(torch.ones(clips, 1, size), most, 0.0, 2)
    theirs = torch.bincount((masked == 0).sum(dim=(1, 2)), minlength=most + 1) / clips
    assert theirs[:most].sub(1 / most).abs().max() < 0.05 and theirs[most] == 0
