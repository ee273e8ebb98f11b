"""Attention with gradients of its own, against torch's kernels and automatic differentiation."""

import pytest
import torch
from torch import Tensor

from pmam.models.context.relative_attention import band
from pmam.models.context.transformer_xl import (
    RelativeAttention,
    relative_positions,
    relative_shift,
)

WIDTH, HEADS = 24, 4


def attention(dropout: float = 0.0) -> RelativeAttention:
    torch.manual_seed(0)
    made = RelativeAttention(WIDTH, HEADS, dropout)
    torch.nn.init.normal_(made.pos_bias_u)
    torch.nn.init.normal_(made.pos_bias_v)
    return made


def results(
    module: RelativeAttention, x: Tensor, padding: Tensor | None, *, by_torch: bool
) -> dict[str, Tensor]:
    """The output, and the gradient of all that goes in."""
    positions = relative_positions(x.shape[1], WIDTH).to(x)
    given = x.clone().requires_grad_()
    module.zero_grad()
    torch.manual_seed(5)
    if by_torch:
        dropout = module.dropout if module.training else 0.0
        projected, distances = module.in_proj(given), module.linear_pos(positions)
        out = module.out_proj(module._fused(projected, distances, padding, dropout))
    else:
        out = module(given, positions, padding)
    out.backward(torch.sin(torch.arange(out.numel()).to(x)).view_as(out))
    gradients = {
        name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None
    }
    assert given.grad is not None
    return {"out": out.detach(), "x": given.grad, **gradients}


@pytest.mark.parametrize("frames", [1, 2, 7, 40])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_torchs_own(frames: int, dropout: float, padded: bool) -> None:
    """Values, gradients and what is dropped."""
    module = attention(dropout)
    x = torch.randn(3, frames, WIDTH)
    # The last clip is padding alone.
    held = torch.tensor([frames, max(1, frames // 2), 0])
    padding = torch.arange(frames)[None] >= held[:, None] if padded else None
    ours, theirs = (results(module, x, padding, by_torch=by_torch) for by_torch in (False, True))
    assert ours.keys() == theirs.keys()
    whole = slice(2) if padded else slice(None)  # nobody reads what a clip of padding gives
    torch.testing.assert_close(ours["out"][whole], theirs["out"][whole], atol=1e-5, rtol=1e-5)
    if not padded:
        for name, wanted in theirs.items():
            torch.testing.assert_close(ours[name], wanted, atol=2e-4, rtol=1e-4, msg=name)


def test_padding_takes_no_part() -> None:
    """What lies in padding changes neither the frames that hold audio nor a gradient."""
    module, frames = attention(), 9
    x = torch.randn(2, frames, WIDTH)
    padding = torch.arange(frames)[None].repeat(2, 1) >= torch.tensor([[6], [4]])
    positions = relative_positions(frames, WIDTH)

    def read(x: Tensor) -> tuple[Tensor, Tensor]:
        given = x.clone().requires_grad_()
        out = module(given, positions, padding)
        out[~padding].square().sum().backward()
        assert given.grad is not None
        return out[~padding].detach(), given.grad

    (before, gradient), (after, _) = read(x), read(torch.where(padding[..., None], 7.0, x))
    torch.testing.assert_close(before, after)
    assert (gradient[padding] == 0).all()


def test_band_is_the_relative_shift() -> None:
    """The view of the bands, and the shift that the fused kernels are given."""
    by_distance = torch.randn(2, 3, 5, 9)
    torch.testing.assert_close(
        band(by_distance.view(6, 5, 9)).view(2, 3, 5, 5), relative_shift(by_distance)
    )
