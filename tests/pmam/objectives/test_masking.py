"""Masking: exact shares, whole blocks, and untouched frames outside the mask."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pmam.objectives.masking import MaskDraws, apply_mask, block_mask, draw
from pmam.objectives.settings import MaskSettings


@given(st.integers(1, 200), st.integers(1, 20), st.floats(0, 1), st.integers(0, 99))
def test_masks_the_stated_share_of_blocks(frames: int, block: int, rate: float, seed: int) -> None:
    draws = draw(3, frames, block, torch.Generator().manual_seed(seed))
    mask = block_mask(draws.block_noise, frames, block, rate)
    blocks = draws.block_noise.shape[1]
    expected = max(round(rate * blocks), 1) if rate > 0 else 0
    for row in mask:
        pieces = row.split(block)
        assert all(piece.all() or not piece.any() for piece in pieces)
        assert sum(bool(piece[0]) for piece in pieces) == expected


def test_masked_frames_are_token_random_or_kept_in_the_stated_shares() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.arange(8 * 1000.0).view(8, 1000, 1) + 1
    draws = draw(8, 1000, 10, generator)
    mask = block_mask(draws.block_noise, 1000, 10, 0.8)
    out = apply_mask(x, mask, torch.zeros(1), draws, MaskSettings())
    assert torch.equal(out[~mask], x[~mask])
    masked = int(mask.sum())
    assert masked == 8 * 800
    token = (out[mask] == 0).sum() / masked
    kept = (out[mask] == x[mask]).sum() / masked
    assert token == pytest.approx(0.9, abs=0.02)
    assert kept == pytest.approx(0.05, abs=0.02)
    # Random frames come from anywhere in the batch, other clips included.
    moved = (out != x) & (out != 0)
    clip_of = ((out - 1) // 1000).long()
    assert (clip_of != torch.arange(8)[:, None, None])[moved].any()


def test_same_draws_give_the_same_mask() -> None:
    draws = MaskDraws(
        block_noise=torch.tensor([[0.9, 0.1, 0.5]]),
        style=torch.tensor([[0.0, 0.0, 0.92, 0.92, 0.99, 0.99]]),
        source=torch.tensor([[0, 0, 5, 5, 0, 0]]),
    )
    mask = block_mask(draws.block_noise, 6, 2, 0.67)
    assert mask.tolist() == [[False, False, True, True, True, True]]
    x = torch.arange(6.0).view(1, 6, 1)
    out = apply_mask(x, mask, torch.tensor([-1.0]), draws, MaskSettings())
    assert out.flatten().tolist() == [0, 1, 5, 5, 4, 5]


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        MaskSettings(rate=1.5)
    with pytest.raises(ValueError, match="sum is at most 1"):
        MaskSettings(token_share=0.9, random_share=0.2)
