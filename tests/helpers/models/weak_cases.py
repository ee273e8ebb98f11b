"""Weak labels in small: a file as the MTL repository's, and what stages make of it."""

import json
from pathlib import Path

import h5py
import numpy as np
import yaml
from matplotlib.image import imread
from stage_outputs import Output, text

from pipelines.runtime.files.urls import open_dataset
from shards.loading.array_reader import array_of

FRAMES, MELS = 32, 16
# A network for these spectrograms, on a command line.
SMALL = (
    *("--width", "2", "--mels", "16", "--frames", "32", "--sample-rate-hz", "8000"),
    *("--hop-samples", "2500", "--window-samples", "4096", "--epochs", "2", "--batch-size", "4"),
)


def write_h5(folder: Path, **changes: object) -> Path:
    """Six random spectrograms of two classes in three folds, and their recipes."""
    generator = np.random.default_rng(0)
    labels = ["a", "b"]
    recipes = [
        {
            "mixture_name": f"{n:05d}.wav",
            "fold": n % 3 + 1,
            "scene_audio_name": "audio/park-x-1.wav",
            "events": [
                {"event_label": label, "event_audio_name": "e.wav", "onset": 1.0, "offset": 2.0}
                for label in (labels if n < 3 else labels[:1] if n < 5 else labels[1:])
            ],
        }
        for n in range(6)
    ]
    (folder / "logmel").mkdir(parents=True)
    (folder / "mixture.yaml").write_text(yaml.safe_dump(recipes))
    columns: dict[str, object] = {
        "fold": np.arange(6) % 3 + 1,
        "audio_name": np.array([f"{n:05d}.wav".encode() for n in range(6)]),
        "mixture_logmel": generator.normal(size=(6, FRAMES, MELS)).astype(np.float32),
        "target": np.array([[1, 1], [1, 1], [1, 1], [1, 0], [1, 0], [0, 1]], np.float32),
        **changes,
    }
    with h5py.File(folder / "logmel" / "logmel_snr_10.h5", "w") as file:
        for name, values in columns.items():
            if values is not None:
                file[name] = values
    return folder / "logmel" / "logmel_snr_10.h5"


def arrays(folder: Path) -> Output:
    """Of a dataset of spectrograms."""
    opened = open_dataset(str(folder))
    facts = ("key", "shard", "codec", "num_samples", "fold", "weak", "meta")
    rows = [{name: getattr(row, name) for name in facts} for row in opened.rows]
    total = float(sum(np.abs(array_of(opened.read(row))).sum() for row in opened.rows))
    return {"rows": text(rows), "sum": total}


def numbers(folder: Path) -> Output:
    """Of the means over folds."""
    told = json.loads((folder / "folds.json").read_text())
    return {name: float(value) for name, value in told["mean"].items()}


def pictures(folder: Path) -> Output:
    """Of the names of pictures, and whether anything is drawn in them."""
    files = sorted(folder.glob("*.png"))
    drawn = all(float(np.std(imread(file))) > 0.05 for file in files)
    return {"names": text([file.name for file in files]), "drawn": str(drawn)}
