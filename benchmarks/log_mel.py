"""Our log-mel against torchaudio's MelSpectrogram and a logarithm, on one core.

    python benchmarks/log_mel.py [--batch 16] [--rounds 7]

Ten seconds a clip at 32 kHz, the same window, hop and mel bands; both run in turn, and the medians
of processor time count.

Result of 2026-11-21, a busy core: ours 89 to 112 ms, torchaudio 202 to 236 ms, ratio 2.01 to 2.45
in five runs.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torchaudio
from torch import Tensor

from pmam.frontend import LogMel, LogMelSettings


def seconds(work: Callable[[], Tensor]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
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
    ratio = statistics.median(b / a for a, b in rounds)
    mine, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"ours {1e3 * mine:.0f} ms, torchaudio {1e3 * other:.0f} ms, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
