"""What stored posteriors take per frame, and how exact they are: ESC-10 soundscapes, mn04, K = 30.

    python benchmarks/posterior_bytes.py --data ESC10 --weights mn04_as_mAP_432.pt --out FOLDER

ESC10 holds `esc10.csv` and `audio/`. The stages of the preset `esc10` run up to `label` on fewer
clips. Bytes are those of the files as a later stage reads them, keys and headers included; the
error is against posteriors computed again from the stored embeddings; the text is a table of four
decimals, a line per frame, as the reference implementation writes it.

Result of 2026-11-21, default counts (510 clips, 63 750 frames):

    entries a frame            1.22
    sparse8 bytes a frame      3.95      wanted 8 at most
    text bytes a frame       210.00      53 times as much
    greatest error           0.00196     wanted 1/255 = 0.00392, stated bound 1/510 = 0.00196
"""

import argparse
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cluster.session import session
from pipelines.inference.frame_job import open_frames
from pipelines.presets import esc10
from pipelines.runtime.files.urls import join, read_prototypes, store
from pipelines.runtime.stage import record_of
from pipelines.stages.embed import ENCODER, embed
from pipelines.stages.fit.stage import fit
from pipelines.stages.label import label
from pipelines.stages.pack.stage import pack
from pipelines.stages.soundscapes.stage import soundscapes
from shards.frames.sparse8 import ERROR_BOUND

COUNTS = {"strong": 60, "weak": 150, "unlabeled": 300, "validation": 8, "test": 8}
WANTED_BYTES, WANTED_ERROR = 8.0, 1 / 255
SHOWN = 0.5 / 255  # smaller posteriors are stored as 0
Floats = npt.NDArray[np.float32]


def main() -> None:
    """Make the posteriors, or take those that are there, and measure them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="ESC-10: esc10.csv and audio/")
    parser.add_argument("--weights", type=Path, required=True, help="EfficientAT mn04_as")
    parser.add_argument("--out", type=Path, required=True, help="folder for the stages")
    arguments = parser.parse_args()
    embeddings, prototypes, posteriors = make(arguments.data, arguments.weights, arguments.out)
    measure(embeddings, prototypes, posteriors)


def make(data: Path, weights: Path, out: Path) -> tuple[str, str, str]:
    """URLs of the embeddings, prototypes and posteriors of a small run of the preset."""
    settings = esc10()
    assert settings.soundscapes is not None
    mixing = replace(
        settings.soundscapes,
        table="esc10.csv",
        background_classes=("rain", "sea_waves"),
        counts=COUNTS,
    )
    at = {name: str(out / name) for name in ("soundscapes", "dataset", "embed", "fit", "label")}
    with session():
        soundscapes(str(data), None, at["soundscapes"], mixing)
        pack(at["soundscapes"], at["dataset"], settings.pack)
        encoder = replace(settings.encoder, weights=str(weights.absolute()))
        embed(at["dataset"], at["embed"], settings.embed, encoder=encoder)
        fit(at["dataset"], at["embed"], at["fit"], settings.fit)
        checkpoint = join(at["embed"], ENCODER)
        label(
            at["dataset"],
            at["label"],
            settings.label,
            checkpoint=checkpoint,
            prototypes=at["fit"],
            cached_inputs=at["embed"],
        )
    return at["embed"], at["fit"], at["label"]


def measure(embeddings: str, prototypes: str, posteriors: str) -> None:
    """Print bytes per frame, the greatest error, and the text beside them."""
    frames = entries = text_bytes = 0
    error = 0.0
    for exact, stored in pairs(embeddings, prototypes, posteriors):
        frames += len(exact)
        entries += int((exact > SHOWN).sum())
        text_bytes += text_size(exact)
        error = max(error, float(np.abs(exact - stored).max()))
    file_bytes = sum(
        store(posteriors).size(name) or 0 for name in record_of(posteriors)["result"]["outputs"]
    )
    print(f"clips {len(open_frames(posteriors))}, frames {frames}, K {exact.shape[1]}")
    print(f"entries a frame       {entries / frames:8.2f}")
    print(f"sparse8 bytes a frame {file_bytes / frames:8.2f}   wanted {WANTED_BYTES:g} at most")
    print(f"text bytes a frame    {text_bytes / frames:8.2f}")
    print(f"text / sparse8        {text_bytes / file_bytes:8.1f}")
    print(
        f"greatest error        {error:8.5f}   wanted {WANTED_ERROR:.5f}, bound {ERROR_BOUND:.5f}"
    )


def pairs(embeddings: str, prototypes: str, posteriors: str) -> Iterator[tuple[Floats, Floats]]:
    """Of each labelled clip: posteriors as computed, and as stored, both `(frames, K)`."""
    fitted = read_prototypes(prototypes)
    features, stored = open_frames(embeddings), open_frames(posteriors)
    for key in stored:
        exact = fitted.posteriors(torch.from_numpy(features.read(key))).float().numpy()
        yield exact, stored.read(key)


def text_size(posteriors: Floats) -> int:
    """Bytes of a table with four decimals."""
    table = io.BytesIO()
    np.savetxt(table, posteriors, fmt="%.4f", delimiter="\t")
    return table.tell()


if __name__ == "__main__":
    main()
