"""Attention pooling against torch's multi-head attention, which projects every token."""

import pytest
import torch
from torch import nn

from pmam.models.attention_pooling import AttentionPooling


def test_is_multi_head_attention_with_one_query() -> None:
    torch.manual_seed(0)
    pooling = AttentionPooling(width=12, heads=3).double()
    nn.init.normal_(pooling.in_proj.bias)
    peer = nn.MultiheadAttention(12, 3, batch_first=True).double()
    peer.in_proj_weight, peer.in_proj_bias = pooling.in_proj.weight, pooling.in_proj.bias
    peer.out_proj.load_state_dict(pooling.out_proj.state_dict())
    tokens = torch.randn(4, 7, 12, dtype=torch.double, requires_grad=True)
    query = pooling.token.expand(4, 1, -1)
    expected = peer(query, tokens, tokens)[0][:, 0]
    got = pooling(tokens)
    torch.testing.assert_close(got, expected)
    wanted = torch.autograd.grad(expected.square().sum(), [tokens, pooling.in_proj.weight])
    ours = torch.autograd.grad(got.square().sum(), [tokens, pooling.in_proj.weight])
    torch.testing.assert_close(ours, wanted)


def test_leading_dimensions_are_batches() -> None:
    pooling = AttentionPooling(width=8, heads=2)
    tokens = torch.randn(2, 5, 3, 8)
    together = pooling(tokens)
    assert together.shape == (2, 5, 8)
    torch.testing.assert_close(together[1, 4], pooling(tokens[1, 4]))


def test_heads_share_the_width() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        AttentionPooling(width=8, heads=3)
