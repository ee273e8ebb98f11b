"""Attention with relative positions for training on a processor, with its own gradients.

The fused kernels of torch give no gradient of their additive bias on a processor, and what torch
does instead is some thirty passes over all pairs of frames. Here are the products alone, one
softmax, and one copy of its gradient into the bands of distances.
"""

import math
from typing import Any

import torch
from torch import Tensor


def band(by_distance: Tensor) -> Tensor:
    """A view of `(N, T, 2 T - 1)`, contiguous, by distance: `(N, T, T)`, by key.

    Entry (i, j) is that of distance i - j, at column T - 1 - i + j (arXiv 1901.02860, appendix B).
    """
    batch, frames, distances = by_distance.shape
    strides = (frames * distances, distances - 1, 1)
    # A frame alone has one distance; a stride of 0 there would name one place twice.
    return by_distance.as_strided((batch, frames, frames), strides, frames - 1)


class RelativeAttentionFunction(torch.autograd.Function):
    """`softmax(((q + u) k + shift((q + v) r)) / sqrt(d)) v` of each head (arXiv 1901.02860, 3.3).

    Heads come before clips inside, so that all clips meet the distances in one product per head.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        distances: Tensor,
        bias_u: Tensor,
        bias_v: Tensor,
        padding: Tensor | None,
        dropout: float,
    ) -> Tensor:
        """What the heads read, side by side, `(B, T, width)`.

        Args:
            ctx: of autograd.
            projected: queries, keys and values side by side, `(B, T, 3 width)`.
            distances: projected positions, `(2 T - 1, width)`.
            bias_u: of queries that meet keys, `(heads, width / heads)`.
            bias_v: of queries that meet distances.
            padding: `(B, T)`, true on keys to ignore.
            dropout: on the weights.
        """
        (batch, frames, _), (heads, width) = projected.shape, bias_u.shape
        scale = 1 / math.sqrt(width)
        # (3, heads, B, T, d)
        parts = projected.view(batch, frames, 3, heads, width).permute(2, 3, 0, 1, 4).contiguous()
        key, value = (part.view(heads * batch, frames, width) for part in parts[1:])
        to_keys = torch.add(parts[0], bias_u[:, None, None]).mul_(scale).view_as(key)
        to_distances = torch.add(parts[0], bias_v[:, None, None]).mul_(scale)
        to_distances = to_distances.view(heads, batch * frames, width)
        table = distances.view(-1, heads, width).transpose(0, 1)  # (heads, 2 T - 1, d)
        by_distance = torch.bmm(to_distances, table.transpose(1, 2))
        scores = torch.baddbmm(
            band(by_distance.view(heads * batch, frames, -1)), to_keys, key.transpose(1, 2)
        )  # (heads * B, T, T)
        if padding is not None:
            # Finite: with minus infinity a clip of padding alone would be NaN, and so the loss.
            least = torch.finfo(scores.dtype).min
            scores.view(heads, batch, frames, frames).masked_fill_(padding[:, None], least)
        weights, kept = torch.softmax(scores, dim=-1), None
        if dropout > 0:
            # Drawn with clips before heads, as torch's own attention draws.
            drawn = torch.empty(batch, heads, frames, frames, device=scores.device)
            drawn = drawn.bernoulli_(1 - dropout).div_(1 - dropout)
            kept = drawn.transpose(0, 1).reshape_as(weights)
        read = torch.bmm(weights if kept is None else weights * kept, value)
        ctx.save_for_backward(to_keys, to_distances, key, value, table, weights, kept)
        return (
            read.view(heads, batch, frames, width)
            .permute(1, 2, 0, 3)
            .reshape(batch, frames, heads * width)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what `forward` takes, from that of what it gives."""
        to_keys, to_distances, key, value, table, weights, kept = ctx.saved_tensors
        (together, frames, width), heads = key.shape, len(table)
        batch, scale = together // heads, 1 / math.sqrt(width)
        read = gradients[0].view(batch, frames, heads, width).permute(2, 0, 1, 3)
        read = read.reshape(together, frames, width)
        parts = torch.empty(3, together, frames, width, dtype=key.dtype, device=key.device)
        mixing = weights if kept is None else weights * kept
        torch.bmm(mixing.transpose(1, 2), read, out=parts[2])
        of_weights = torch.bmm(read, value.transpose(1, 2))
        if kept is not None:
            of_weights.mul_(kept)
        scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        by_distance = torch.zeros(
            together, frames, 2 * frames - 1, dtype=key.dtype, device=key.device
        )
        band(by_distance).copy_(scores)
        by_distance = by_distance.view(heads, batch * frames, -1)
        of_keys = torch.bmm(scores, key)
        torch.bmm(scores.transpose(1, 2), to_keys, out=parts[1])
        of_distances = torch.bmm(by_distance, table)
        of_table = torch.bmm(by_distance.transpose(1, 2), to_distances)
        torch.add(of_keys, of_distances.view_as(of_keys), out=parts[0])
        parts[0].mul_(scale)
        return (
            parts.view(3, heads, batch, frames, width)
            .permute(2, 3, 0, 1, 4)
            .reshape(batch, frames, 3 * heads * width),
            of_table.transpose(0, 1).reshape(-1, heads * width),
            of_keys.view(heads, -1, width).sum(dim=1).mul_(scale),
            of_distances.sum(dim=1).mul_(scale),
            None,
            None,
        )
