"""A small source of recordings, and ways to spoil it."""

from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 16000
CLIPS = {"a": "dog", "b": "cat", "c": "dog"}


def write_source(folder: Path) -> Path:
    """Three weakly labelled clips of half a second and a strongly labelled one."""
    generator = np.random.default_rng(0)
    for subset, names in (("weak", CLIPS), ("strong", ["s"])):
        (folder / subset).mkdir(parents=True)
        for name in names:
            noise = generator.normal(0, 0.1, RATE // 2)
            sf.write(folder / subset / f"{name}.flac", noise, RATE)
    rows = "".join(f"{name}.flac\t{label}\n" for name, label in CLIPS.items())
    (folder / "weak.tsv").write_text(f"filename\tevent_labels\n{rows}")
    write_strong(folder, "s.flac\t0.1\t0.3\tdog")
    return folder


def write_strong(
    folder: Path, *rows: str, header: str = "filename\tonset\toffset\tevent_label"
) -> None:
    (folder / "strong.tsv").write_text("\n".join((header, *rows)) + "\n")


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))


def truncated(source: Path) -> None:
    file = source / "weak" / "b.flac"
    file.write_bytes(file.read_bytes()[:-3000])
