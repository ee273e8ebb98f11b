"""An EM iteration of the mixture on a GPU, against the same in full, in float32.

    python benchmarks/gpu/mixture.py [--frames 1500000] [--width 768] [--k 30] [--rounds 5]
    python benchmarks/gpu/mixture.py --device cpu --frames 4000 --width 128 --k 5 --rounds 1

Ours leaves out components that cannot matter for a frame; in full, every component has its two
products with every frame (4 N K D^2 operations). Both run on the same synthetic clustered frames
and from the same parameters, TF32 off, in turn. The share of the peak is of the operations in full,
against square matrices multiplied in the same run: so ours may be above 1. It needs torch and numpy
alone.

It has not been run on a GPU yet.
"""

import argparse
import math
import statistics

import torch
from device_clock import forget_peak, matrix_rate, name, peak_gb, seconds, set_tf32
from torch import Tensor

from pmam.mixture.e_step import statistics as e_step
from pmam.mixture.em import expectation_maximisation, initial_state
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.process_group import alone

STARTS_FROM = 100_000  # frames that k-means sees
BLOCK = 65536
REG_COVAR = 1e-6


def clustered(frames: int, width: int, k: int, device: torch.device) -> Tensor:
    """Frames `(N, D)` of `k` overlapping clusters, each with its own falling spectrum."""
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    spectrum = torch.arange(1, width + 1, device=device) ** -0.5  # (D,)
    means = 2 * normal(k, width) * spectrum
    found = torch.empty(frames, width, device=device)
    shapes = [torch.linalg.qr(normal(width, width))[0] for _ in range(k)]
    labels = torch.randint(k, (frames,), generator=generator, device=device)
    for label, shape in enumerate(shapes):
        rows = (labels == label).nonzero().squeeze(1)
        for part in torch.split(rows, BLOCK):
            found[part] = means[label] + (normal(len(part), width) * spectrum) @ shape
    return found


def in_full(frames: Tensor, parameters: MixtureParameters) -> tuple[Tensor, Tensor, Tensor, float]:
    """Counts `(K,)`, sums `(K, D)`, sums of outer products `(K, D, D)`, mean log-likelihood."""
    means, factors = parameters.narrow(frames.dtype)
    width = frames.shape[1]
    constant = parameters.log_determinants - 0.5 * width * math.log(2 * math.pi)
    offsets = (parameters.weights.log() + constant).to(frames.dtype)
    counts, first = torch.zeros_like(offsets), torch.zeros_like(means)
    second, likelihood = torch.zeros_like(factors), 0.0
    for x in torch.split(frames, BLOCK):
        squares = [((x - m) @ f).square_().sum(dim=1) for m, f in zip(means, factors, strict=True)]
        joint = offsets - 0.5 * torch.stack(squares, dim=1)
        total = joint.logsumexp(dim=1, keepdim=True)
        likelihood += float(total.double().sum())
        weights = (joint - total).exp_()  # (n, K)
        counts += weights.sum(dim=0)
        first += weights.T @ x
        for k, weight in enumerate(weights.T):
            second[k] += (x * weight[:, None]).T @ x
    return counts, first, second, likelihood / len(frames)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--frames", type=int, default=1_500_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--k", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    device = torch.device(options.device)
    set_tf32(False)
    frames = clustered(options.frames, options.width, options.k, device)
    start = initial_state(frames[:STARTS_FROM], options.k, "full", reg_covar=REG_COVAR)
    parameters = expectation_maximisation(
        frames, start, alone(device), reg_covar=REG_COVAR, tol=0.0, max_iter=1
    ).parameters
    expected = in_full(frames, parameters)
    total = e_step(frames, parameters)
    apart = float((total.counts - expected[0]).abs().max() / options.frames)
    likelihood = total.log_likelihood / total.frames
    peak = matrix_rate(device, torch.float32)
    took: dict[str, list[float]] = {"ours": [], "in full": []}
    memory = {}
    for _ in range(options.rounds):
        for label, work in {
            "ours": lambda: e_step(frames, parameters),
            "in full": lambda: in_full(frames, parameters),
        }.items():
            forget_peak(device)
            took[label].append(seconds(work, device, 1))
            memory[label] = peak_gb(device)
    flops = 4 * options.frames * options.k * options.width**2
    print(f"{name(device)}, torch {torch.__version__}, products {peak / 1e12:.2f} TFLOP/s")
    print(
        f"log-likelihood per frame {likelihood:.4f}, in full {expected[3]:.4f}; "
        f"largest difference of a component's share of the frames {apart:.1e}"
    )
    for label, times in took.items():
        middle = statistics.median(times)
        share = flops / middle / peak
        print(f"{label:<8} {middle:8.3f} s  {share:6.2f} of the peak  {memory[label]:6.2f} GB")
    ratios = (b / a for a, b in zip(took["ours"], took["in full"], strict=True))
    print(f"in full / ours {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
