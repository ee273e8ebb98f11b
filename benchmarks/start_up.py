"""How long commands take to begin, beside the imports that they cannot do without.

    python benchmarks/start_up.py [--rounds 5]

Each command runs in a process of its own, in turn with the others, on one file as small as can be:
a second of noise through a detector of 3 000 parameters, ten events. Printed is the least
processor time of a few rounds, and its ratio to that of the imports: `import torch` where a model
is loaded, `import numpy, tyro` where none is, with pyarrow where tables are read or written.

Result of 2026-11-29, four rounds beside much other work: help of run, detect, finetune and convert
0.8 to 1.3 times numpy and tyro (0.45 s), of which it loads tyro alone; convert 2.05 and verify 1.8
times; with pyarrow and the parts of it that tables need (0.61 s) 1.5 and 1.3 times.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PMAM = [sys.executable, "-m", "pipelines"]
TORCH, PLAIN = "import torch", "import numpy, tyro"
TABLES = f"{PLAIN}, pyarrow.fs, pyarrow.parquet, pyarrow.compute"


def main() -> None:
    """Print a line a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        commands: dict[str, tuple[str, list[str]]] = {
            TORCH: (TORCH, [sys.executable, "-c", TORCH]),
            PLAIN: (PLAIN, [sys.executable, "-c", PLAIN]),
            TABLES: (PLAIN, [sys.executable, "-c", TABLES]),
            "pmam detect": (TORCH, [*PMAM, "detect", "a.wav", "--checkpoint", "d.safetensors"]),
            "pmam --help": (PLAIN, [*PMAM, "--help"]),
            "pmam run --help": (PLAIN, [*PMAM, "run", "--help"]),
            "pmam detect --help": (PLAIN, [*PMAM, "detect", "--help"]),
            "pmam finetune --help": (PLAIN, [*PMAM, "finetune", "--help"]),
            "pmam convert": (TABLES, [*PMAM, "convert", "a.tsv", "b.txt", "--format", "audacity"]),
            "pmam verify": (TABLES, [*PMAM, "verify", "nothing"]),
        }
        least = dict.fromkeys(commands, float("inf"))
        for _ in range(rounds):
            for name, (_, command) in commands.items():
                (Path(folder) / "b.txt").unlink(missing_ok=True)
                least[name] = min(least[name], processor_s(command, folder))
    for name, (base, _) in commands.items():
        print(f"{name:22s} {least[name]:6.2f} s, {least[name] / least[base]:.2f} times `{base}`")


def processor_s(command: list[str], folder: str) -> float:
    """Seconds of processor time of a command, with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write_inputs(folder: Path) -> None:
    """A recording, a detector and annotations."""
    import numpy as np
    import soundfile

    from pipelines.runtime.files.urls import store, write_checkpoint
    from pmam.encoders.settings import EncoderSettings
    from pmam.models.backbone import Backbone
    from pmam.models.checkpoint import pack_detector
    from pmam.models.detector import DetectorModel
    from pmam.models.settings import ContextSettings, ModelSettings

    context = ContextSettings(width=16, layers=1, heads=2, hidden=16)
    settings = ModelSettings(encoder=EncoderSettings(name="small_cnn"), context=context)
    detector = DetectorModel(Backbone(settings), ("a", "b")).eval()
    write_checkpoint(store(str(folder)), "d", pack_detector(detector))
    noise = np.random.default_rng(0).normal(0, 0.1, 32000)
    soundfile.write(folder / "a.wav", noise, 32000)
    rows = "".join(f"a.wav\t{n}\t{n + 1}\tdog\n" for n in range(10))
    (folder / "a.tsv").write_text("filename\tonset\toffset\tevent_label\n" + rows)


if __name__ == "__main__":
    main()
