"""Attention at lengths other than the network's own: where an event is, the map says so."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from torch import Tensor

from pmam.weak_labels.attention import DualStageAttention, resampled

FRAMES, MELS = 311, 8


def follower() -> DualStageAttention:
    """Attention that looks where its input is high: what training makes of it, written down."""
    attention = DualStageAttention(MELS, FRAMES)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.zero_()
        attention.mel_values.weight.copy_(torch.eye(MELS))
        attention.time_weights.weight.copy_(20 * torch.eye(FRAMES))
    return attention


def cells_with_event(length: int, first: int, frames: int) -> Tensor:
    cells = torch.full((1, 1, length, MELS), -3.0)
    cells[:, :, first : first + frames] = 3.0
    return cells


@limits(max_examples=40)
@given(
    length=st.integers(60, 900), event=st.integers(12, 30), data=st.data(), shift=st.integers(1, 60)
)
def test_a_shifted_event_shifts_in_the_maps(
    length: int, event: int, data: st.DataObject, shift: int
) -> None:
    last = length - event
    first = data.draw(st.integers(0, last))
    second = min(first + shift, last)
    centres = []
    for begin in (first, second):
        _, frames, maps = follower()(cells_with_event(length, begin, event))
        assert frames.shape == maps.time.shape == (1, 1, length)
        assert maps.time.sum().item() == pytest.approx(1.0, abs=1e-5)
        for weights in (maps.time[0, 0], frames[0, 0] * (frames[0, 0] > 0.5 * frames.max())):
            centre = (weights * (torch.arange(length) + 0.5)).sum() / weights.sum()
            # as exact as the coarser of the two grids
            assert centre.item() == pytest.approx(begin + event / 2, abs=max(1.0, length / FRAMES))
        centres.append((maps.time[0, 0] * torch.arange(length)).sum().item())
    moved, slack = centres[1] - centres[0], max(1.0, length / FRAMES)
    assert moved == pytest.approx(second - first, abs=slack)


def test_its_own_length_is_taken_as_it_is() -> None:
    sequence = torch.randn(2, 3, FRAMES)
    assert resampled(sequence, FRAMES) is sequence


def test_resampling_keeps_where_things_are() -> None:
    ramp = torch.linspace(0, 1, 100)[None, None]
    there = resampled(ramp, 311)
    assert resampled(there, 100)[0, 0, 2:-2] == pytest.approx(ramp[0, 0, 2:-2], abs=1e-3)
    # a frame of the middle stays in the middle: spans agree, not first and last points
    assert there[0, 0, 155].item() == pytest.approx(0.5, abs=1e-3)


def test_the_loudest_frame_has_the_clips_probability() -> None:
    torch.manual_seed(0)
    clips, frames, maps = DualStageAttention(MELS, 20)(torch.randn(2, 3, 20, MELS))
    torch.testing.assert_close(frames.amax(dim=-1), clips)
    torch.testing.assert_close(maps.mel.sum(dim=-1), torch.ones(2, 3, 20))
