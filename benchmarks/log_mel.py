"""Our log-mel against torchaudio's MelSpectrogram and a logarithm.

    python benchmarks/log_mel.py [--batch 16] [--rounds 7] [--threads 1]

Ten seconds a clip at 32 kHz, the same window, hop and mel bands; both run in turn, and what is
printed are medians, of processor time and of time on the wall. Threads wait asleep, as in `pmam`.

Result of 2026-11-21, two idle cores:

    threads  clock      ours ms     torchaudio ms  ratio
    1        processor   58          202            3.55
    1        wall        58          202            3.55
    2        processor   75          210            2.86
    2        wall        64          111            1.80

Ours gains little from a second thread: blocks are small, so that they stay in the cache.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch loads

import torch
import torchaudio
from torch import Tensor

from pmam.encoders.log_mel import LogMel, LogMelSettings


def seconds(work: Callable[[], Tensor]) -> tuple[float, float]:
    """Time of one call, of the processor and on the wall."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = LogMelSettings(peak_normalise=True)
    ours = LogMel(settings)
    theirs = torchaudio.transforms.MelSpectrogram(
        sample_rate=settings.sample_rate_hz,
        n_fft=settings.fft_size,
        win_length=settings.window_samples,
        hop_length=settings.hop_samples,
        n_mels=settings.mels,
        f_max=settings.high_hz,
    )
    waveform = 0.1 * torch.randn(options.batch, 10 * settings.sample_rate_hz)
    rounds = [
        (
            seconds(lambda: ours(waveform)),
            seconds(lambda: torch.log(theirs(waveform) + 1e-5)),
        )
        for _ in range(options.rounds + 1)
    ][1:]
    for clock, name in enumerate(("processor", "wall")):
        mine, other = (statistics.median(r[who][clock] for r in rounds) for who in (0, 1))
        ratio = statistics.median(b[clock] / a[clock] for a, b in rounds)
        print(
            f"{options.threads} threads, {name}: ours {1e3 * mine:.0f} ms, "
            f"torchaudio {1e3 * other:.0f} ms, ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
