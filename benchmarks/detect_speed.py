"""detect with mn04 on one core and on two, against a plain EfficientAT loop over the same windows.

    python benchmarks/detect_speed.py --weights mn04_as_mAP_432.pt [--hours 10] [--rounds 3]

One FLAC of 32 kHz (mono, 16 bits; noise of changing level) of so many hours. The plain loop is
what one writes by hand: blocks by soundfile, `torch.stft` and a product with the mel basis, the
tagger in eager mode, windows of 10 s every 8 s, one after another; it makes tags, and no frames,
events or overlap-add. Ours is `detect_file` with mn04 and the default context network: decoded,
checked, all frames, joined, post-processed. Each runs in a process of its own that is bound to its
cores, in turn; ratios are of medians. What comes before is not counted, but told as start.

Result of 2026-11-29, 0.4 hours, two rounds, on two processors that nothing else kept busy:

    loop   cores  wall s  processor s  x real time  to plain  peak MB  start s
    plain      1     6.3          6.3          227      1.00      565      5.0
    ours       1     5.9          5.9          246      1.08      665      5.1
    ours       2     4.5          7.6          320      1.41      750      4.7
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf

RATE_HZ = 32000
WINDOW_S, OVERLAP_S = 10.0, 2.0
CASES = (("plain", 1), ("ours", 1), ("ours", 2))


def recording(path: Path, hours: float) -> None:
    """Noise whose level changes twice a second."""
    draw = np.random.default_rng(0)
    with sf.SoundFile(path, "w", RATE_HZ, 1, "PCM_16", format="FLAC") as file:
        for _ in range(max(1, round(hours * 360))):  # of ten seconds each
            level = np.repeat(draw.random(20) ** 3, RATE_HZ // 2)
            file.write((0.2 * draw.standard_normal(10 * RATE_HZ) * level).clip(-1, 1))


def plain(path: str, weights: str) -> Callable[[], int]:
    """The loop by hand, ready to go; how many windows it tags."""
    import torch

    from pmam.encoders.efficientat import MobileNet, MobileNetSettings, from_published
    from pmam.encoders.log_mel import LogMelSettings, mel_basis, pre_emphasis

    network = MobileNet(MobileNetSettings(width=0.4))
    network.load_state_dict(from_published(torch.load(weights, weights_only=True)))
    network.eval()
    basis, window = mel_basis(LogMelSettings()), torch.hann_window(800, periodic=False)
    size, overlap = round(WINDOW_S * RATE_HZ), round(OVERLAP_S * RATE_HZ)

    @torch.inference_mode()
    def loop() -> int:
        count = 0
        for block in sf.blocks(path, size, overlap, dtype="float32", fill_value=0.0):
            wave = pre_emphasis(torch.from_numpy(block)[None])
            spectrum = torch.stft(wave, 1024, 320, 800, window, return_complex=True)
            power = torch.view_as_real(spectrum).square().sum(dim=-1)
            network((torch.log(basis @ power + 1e-5) + 4.5) / 5)
            count += 1
        return count

    return loop


def ours(path: str, weights: str) -> Callable[[], int]:
    """`detect_file`, ready to go; how many events it finds."""
    import torch

    from pipelines import detect_file
    from pmam.encoders.settings import EncoderSettings
    from pmam.models.backbone import Backbone
    from pmam.models.detector import DetectorModel
    from pmam.models.settings import ModelSettings

    torch.manual_seed(0)
    backbone = Backbone(ModelSettings(encoder=EncoderSettings(name="mn04")))
    backbone.encoder.load_published(torch.load(weights, weights_only=True))
    backbone.encoder.calibration.fitted.fill_(True)
    detector = DetectorModel(backbone, tuple(f"class {n}" for n in range(10)))
    return lambda: len(detect_file(detector, path).events)


def measure(task: str, path: str, weights: str) -> None:
    """One case in this process: prints what it took."""
    work = {"plain": plain, "ours": ours}[task](path, weights)
    began_s, of_process = time.perf_counter(), time.process_time()
    count = work()
    told = {
        "wall_s": time.perf_counter() - began_s,
        "processor_s": time.process_time() - of_process,
        "count": count,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told))


def run(task: str, cores: int, path: str, weights: str) -> dict[str, float]:
    """One case in a process that has so many cores."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    threads = {"OMP_NUM_THREADS": str(cores), "OMP_WAIT_POLICY": "passive"}
    begun_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--task", task, "--file", path, "--weights", weights],
        env={**os.environ, **threads},
        preexec_fn=lambda: os.sched_setaffinity(0, chosen),
        check=True,
        capture_output=True,
        text=True,
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**told, "start_s": time.perf_counter() - begun_s - told["wall_s"]}


def main() -> None:
    """All cases in turn, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", choices=["plain", "ours"])
    parser.add_argument("--file")
    given = parser.parse_args()
    if given.task:
        measure(given.task, given.file, given.weights)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.flac"
        recording(path, given.hours)
        found: dict[tuple[str, int], list[dict[str, float]]] = {case: [] for case in CASES}
        for _ in range(given.rounds):
            for case in CASES:
                found[case].append(run(*case, str(path), given.weights))
    walls = {
        case: statistics.median(each["wall_s"] for each in rounds) for case, rounds in found.items()
    }
    print("loop   cores  wall s  processor s  x real time  to plain  peak MB  start s")
    for (task, cores), rounds in found.items():
        wall_s = walls[task, cores]
        middle = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        print(
            f"{task:<5}  {cores:>5}  {wall_s:>6.1f}  {middle['processor_s']:>11.1f}  "
            f"{given.hours * 3600 / wall_s:>11.0f}  {walls['plain', 1] / wall_s:>8.2f}  "
            f"{middle['peak_mb']:>7.0f}  {middle['start_s']:>7.1f}"
        )


if __name__ == "__main__":
    main()
