"""How long commands take to begin, beside the imports that they cannot do without.

    python benchmarks/start_up.py [--rounds 5]

Each command runs in a process of its own, in turn with the others, on one file as small as can be:
a second of noise through a detector of 3 000 parameters, ten events. Printed is the least
processor time of a few rounds, and its ratio to that of the imports: `import torch` where a model
is loaded, `import numpy, tyro` where none is.

Result of 2026-11-29, two rounds beside much other work: detect 1.34 times torch; --help 1.6, help
of a command 2.7, convert 2.8 and verify 3.0 times numpy and tyro: pyarrow and rich are the rest.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PMAM = [sys.executable, "-m", "pipelines"]
TORCH, PLAIN = "import torch", "import numpy, tyro"


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
            "pmam detect": (TORCH, [*PMAM, "detect", "a.wav", "--checkpoint", "d.safetensors"]),
            "pmam --help": (PLAIN, [*PMAM, "--help"]),
            "pmam run --help": (PLAIN, [*PMAM, "run", "--help"]),
            "pmam detect --help": (PLAIN, [*PMAM, "detect", "--help"]),
            "pmam convert": (PLAIN, [*PMAM, "convert", "a.tsv", "b.txt", "--format", "audacity"]),
            "pmam verify": (PLAIN, [*PMAM, "verify", "nothing"]),
        }
        least = dict.fromkeys(commands, float("inf"))
        for _ in range(rounds):
            for name, (_, command) in commands.items():
                (Path(folder) / "b.txt").unlink(missing_ok=True)
                least[name] = min(least[name], processor_s(command, folder))
    for name, (base, _) in commands.items():
        print(f"{name:20s} {least[name]:6.2f} s, {least[name] / least[base]:.2f} times `{base}`")


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
