"""One EM iteration of a Gaussian mixture, full covariance, against scikit-learn on one core.

    python benchmarks/gmm_em.py --data DIR --weights FILE --cache DIR [--width 768 384 64]

`--data` holds ESC-10 (`esc10.csv` and its recordings), `--weights` is EfficientAT's `mn04_as`.
100 000 real frames of 80 ms: soundscapes of ESC-10 recordings through mn04 (block features averaged
over frequency, and log-mel of both halves of a frame), standardised, cut to D evenly spaced
columns; K = 30. Both sides start an iteration from the same parameters: those before each of the
first five iterations from k-means, and those near convergence. Rounds alternate and processor time
counts, because other work may run. scikit-learn's time does not depend on the parameters, so it
runs the first and the fifth of five iterations. `--agree D` runs ten iterations of both from one
start, ours in float32 and scikit-learn's in float64.

Result of 2026-11-21, one of two cores, 100 000 frames. D = 768 and 384: one round, with other work
on the second core; D = 64: the medians of two rounds, the machine busy (load 10 to 30). Near
convergence is after 12 iterations, at D = 64 after 30.

    D     parameters                   precision   ours      scikit-learn   ratio   wanted
    768   first five, 1.04 active      float32      8.4 s     89.4 s        10.6    3
    768   first five                   float64     13.1 s    327.7 s        25.0    6
    768   near convergence, 1.01       float32      9.3 s     82.7 s         8.9    3
    768   near convergence             float64     12.1 s    325.8 s        27.0    6
    384   first five, 1.17 active      float32      4.2 s     40.4 s         9.6    2.3
    384   first five                   float64      6.5 s     91.9 s        14.2    5
    384   near convergence, 1.06       float32      3.7 s     34.7 s         9.3    2.3
    384   near convergence             float64      5.7 s     81.7 s        14.3    5
    64    first five, 6.4 active       float32      0.79 s     3.1 s         3.9    1.8
    64    first five                   float64      1.27 s     4.6 s         3.6
    64    near convergence, 5.4        float32      0.89 s     3.5 s         3.9    1.8
    64    near convergence             float64      1.33 s     5.0 s         3.8

An E-step of 30 000 and of 100 000 frames took 53 and 54 MiB beyond its input at D = 64, 175 and 210
MiB at D = 384, 643 and 628 MiB at D = 768 (where the statistics and the factors of the precisions
are 135 MiB each, whatever the number of frames). After ten iterations at D = 64, ours in float32
ends 5e-7 per frame from scikit-learn in float64 (`--agree 64`). Frames are close to one component
each at D = 384 and 768; where posteriors are softer, more components are looked at and the gain is
smaller, as at D = 64.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from mixture.frames import cut, real_frames
from mixture.iterations import FIRST, REG_COVAR, K, active, ours, reference, states, theirs
from mixture.memory import MIB, peak_in_child

from pmam.mixture.e_step import statistics as e_step
from pmam.mixture.em import FitState, expectation_maximisation
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.process_group import alone

AGREEING = 10  # iterations


def compare(frames: torch.Tensor, starts: list[MixtureParameters], rounds: int) -> str:
    """A line: seconds of both, and the median of the rounds' ratios."""
    array = frames.numpy()
    seconds: list[tuple[float, float]] = []
    worst = 0.0
    for _ in range(rounds):
        mine = [ours(frames, start) for start in starts]
        ends = [0] if len(starts) == 1 else [0, len(starts) - 1]
        other = [theirs(reference(starts[end], array.dtype), array) for end in ends]
        worst = max(abs(mine[e][1] - o[1]) for e, o in zip(ends, other, strict=True))
        seconds.append((statistics.mean(t for t, _ in mine), statistics.mean(t for t, _ in other)))
    ratio = statistics.median(b / a for a, b in seconds)
    a, b = (statistics.median(column) for column in zip(*seconds, strict=True))
    return (
        f"ours {a:7.2f} s   scikit-learn {b:7.2f} s   ratio {ratio:5.2f}   difference {worst:.0e}"
    )


def agreement(frames: torch.Tensor, start: MixtureParameters) -> str:
    """Log-likelihoods per frame after ten iterations, each in its precision, from one start."""
    state = FitState(parameters=start)
    state = expectation_maximisation(
        frames, state, alone(), reg_covar=REG_COVAR, tol=0.0, max_iter=AGREEING
    )
    array = frames.double().numpy()
    mixture = reference(start, np.dtype(np.float64))
    for _ in range(AGREEING):
        theirs(mixture, array)
    found = e_step(frames, state.parameters)
    final = found.log_likelihood / found.frames
    expected = float(mixture._e_step(array)[0])
    return f"ours {final:.6f}   scikit-learn {expected:.6f}   difference {final - expected:.1e}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--width", type=int, nargs="*", default=[768, 384, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--precision", nargs="*", default=["float32", "float64"])
    parser.add_argument("--agree", type=int, nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    frames = real_frames(options.data, options.weights, options.cache, options.frames)
    for width in options.width:
        some = cut(frames, width)
        found = states(some, options.cache, options.iterations)
        for name, starts in (("first five", found[:FIRST]), ("converged", found[FIRST:])):
            on_average = statistics.mean(active(some, start) for start in starts)
            for precision in options.precision:
                line = compare(some.to(getattr(torch, precision)), starts, options.rounds)
                print(
                    f"D {width:3}  {precision}  {name:10}  active {on_average:4.2f}   {line}",
                    flush=True,
                )
        for count in (3 * options.frames // 10, options.frames):
            above = peak_in_child(count, width, K) / MIB
            print(f"D {width:3}  peak memory of an E-step of {count} frames: {above:.0f} MiB")
    for width in options.agree:
        some = cut(frames, width)
        start = states(some, options.cache, options.iterations)[0]
        print(f"D {width:3}  {agreement(some, start)}")


if __name__ == "__main__":
    main()
