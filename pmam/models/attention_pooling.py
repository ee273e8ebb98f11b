"""Attention pooling: one learned query reads a set of tokens."""

import math

import torch
from torch import Tensor, nn


class AttentionPooling(nn.Module):
    """Multi-head attention (arXiv 1706.03762, 3.2.2) whose only query is a learned token.

    The query is the same everywhere. So the projection of the keys is folded into it (one vector
    per head instead of one key per token), and values are projected after they are summed: the
    function is that of the textbook, without its two products over all tokens.

    Args:
        width: channels of the tokens.
        heads: attention heads, which share the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width}: expected a multiple of the {heads} heads")
        self.heads = heads
        self.token = nn.Parameter(torch.zeros(width))
        self.in_proj = nn.Linear(width, 3 * width)  # queries, keys, values
        self.out_proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.token, std=0.02)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(..., N, width)` to `(..., width)`."""
        width = tokens.shape[-1]
        per_head = width // self.heads
        to_query, to_key, to_value = self.in_proj.weight.view(3, self.heads, per_head, width)
        query_bias, _, value_bias = self.in_proj.bias.view(3, self.heads, per_head)
        query = to_query @ self.token + query_bias  # (heads, per head)
        # The bias of the keys adds the same to all scores, and so nothing to their softmax.
        probe = torch.einsum("hd,hdc->hc", query, to_key) / math.sqrt(per_head)
        weights = torch.softmax(tokens @ probe.T, dim=-2)  # (..., N, heads)
        read = weights.transpose(-1, -2) @ tokens  # (..., heads, width)
        value = torch.einsum("...hc,hdc->...hd", read, to_value) + value_bias
        pooled: Tensor = self.out_proj(value.flatten(-2))
        return pooled
