"""PMAM's encoder on a CPU: its rate against a matrix product, and against a plain eager network.

    python benchmarks/passt_cnn_forward.py [--batch 4] [--rounds 5] [--threads N]

All three run in turn, round by round, so that a busy machine is busy for all; what is printed are
medians of the rounds' ratios, on the wall and in processor time of this process (which other
processes disturb less). Floating point operations are those that torch counts, with attention
spelled out, because its counter does not see the fused kernel. The plain network does what the
reference does, in its structure: attention as two products and a softmax, a full pooling by
attention over frequency, channels first, nothing fused.

Result of 2026-11-21, two cores with AVX-512, otherwise idle, 863 GFLOP a forward, 5 rounds each; of
the share, the medians of two runs:

    threads  clock      matrix GFLOP/s  forward s  share of the matrix's rate  plain / ours
    1        wall            166           6.8              0.76, 0.79            1.61
    1        processor       166           6.8              0.75, 0.80            1.61
    2        wall            325           3.6              0.74, 0.77            2.16
    2        processor       162           7.1              0.76, 0.76            1.91

Blocks run clip by clip, which gained 0.01 to 0.03, and 0.1 while the system was short of memory;
parts of a clip are slower again.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pmam.encoders.passt.transformer import Attention
from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.attention_pooling import AttentionPooling

MATRIX = 4096
FRAMES, MELS = 1000, 128


class PlainAttention(nn.Module):
    """Attention as two products with a softmax between."""

    def __init__(self, fused: Attention) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = fused.heads, fused.qkv, fused.proj

    def forward(self, x: Tensor) -> Tensor:
        """`(B, N, width)` to the same."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1)) * (width // self.heads) ** -0.5
        mixed = weights.softmax(dim=-1) @ value
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class PlainPooling(nn.Module):
    """The pooling by torch's own multi-head attention, one query for each column."""

    def __init__(self, folded: AttentionPooling) -> None:
        super().__init__()
        width = folded.token.shape[0]
        self.token = folded.token
        self.attention = nn.MultiheadAttention(width, folded.heads, batch_first=True)
        self.attention.in_proj_weight = folded.in_proj.weight
        self.attention.in_proj_bias = folded.in_proj.bias
        self.attention.out_proj.load_state_dict(folded.out_proj.state_dict())

    def forward(self, tokens: Tensor) -> Tensor:
        """`(B, columns, rows, width)` to `(B, columns, width)`."""
        columns = tokens.flatten(0, 1)
        query = self.token.expand(len(columns), 1, -1)
        pooled: Tensor = self.attention(query, columns, columns)[0]
        return pooled.view(*tokens.shape[:2], -1)


class PlainEncoder(nn.Module):
    """The same function with the same weights, in the structure of the reference."""

    def __init__(self, encoder: PaSSTCNNEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        passt = encoder.transformer.passt
        # All clips at once, as the reference does.
        passt.layers = lambda logmel, wanted: passt._outputs(passt.patch_tokens(logmel), wanted)
        for block in encoder.transformer.passt.blocks:
            block.attn = PlainAttention(block.attn)
        encoder.transformer.pool = PlainPooling(encoder.transformer.pool)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(B, T, mels)` to `(B, T, 1152)`."""
        encoder = self.encoder
        frames = encoder.transformer.frames(inputs.transpose(1, 2))
        image = inputs.unsqueeze(1)  # channels first
        for stage in encoder.cnn.stages:
            x = stage.norm(stage.conv(image))
            gate = torch.sigmoid(stage.gate.linear(x.permute(0, 2, 3, 1)))
            image = stage.pool(stage.drop(x * gate.permute(0, 3, 1, 2)))
        local = nn.functional.interpolate(image.squeeze(3), size=inputs.shape[1], mode="linear")
        return torch.cat([frames, local.transpose(1, 2)], dim=-1)


def built() -> PaSSTCNNEncoder:
    """The encoder with weights of one seed."""
    encoder = build_encoder(EncoderSettings(name="passt_cnn"))
    assert isinstance(encoder, PaSSTCNNEncoder)
    return encoder.eval()


def seconds(work: Callable[[], Tensor]) -> tuple[float, float]:
    """Time of one call, on the wall and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    ours, plain = built(), PlainEncoder(built())
    inputs = torch.randn(options.batch, FRAMES, MELS)
    left, right = torch.randn(2, MATRIX, MATRIX)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        ours(inputs)
    flops = counter.get_total_flops()
    distance = float((ours(inputs) - plain(inputs)).abs().max())
    rounds: list[dict[str, tuple[float, float]]] = []
    for _ in range(options.rounds):
        rounds.append(
            {
                "matrix": seconds(lambda: left @ right),
                "ours": seconds(lambda: ours(inputs)),
                "plain": seconds(lambda: plain(inputs)),
            }
        )
    print(f"threads {options.threads}, batch {options.batch}, {flops / 1e9:.0f} GFLOP a forward")
    print(f"greatest difference from the plain network {distance:.1e}")
    for clock, name in enumerate(("wall", "processor")):
        took = {what: statistics.median(r[what][clock] for r in rounds) for what in rounds[0]}
        matrix_rate = 2 * MATRIX**3 / took["matrix"] / 1e9
        share = statistics.median(
            flops / r["ours"][clock] / (2 * MATRIX**3 / r["matrix"][clock]) for r in rounds
        )
        gain = statistics.median(r["plain"][clock] / r["ours"][clock] for r in rounds)
        print(
            f"{name:9}  matrix {matrix_rate:6.1f} GFLOP/s   forward {took['ours']:6.2f} s   "
            f"share of the matrix's rate {share:.2f}   plain / ours {gain:.2f}"
        )


if __name__ == "__main__":
    main()
