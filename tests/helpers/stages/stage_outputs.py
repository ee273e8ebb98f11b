"""A few numbers of each stage's output: alike on every CPU, other ones where the output changes."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from safetensors.numpy import load_file

from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import open_dataset

# A text must be equal; a number may differ by float noise.
Output = dict[str, float | str]


def spread(arrays: Iterable[np.ndarray]) -> list[float]:
    """Count, mean, standard deviation, and sums with pseudo-random signs, of all values."""
    x = np.concatenate([np.ravel(a).astype(np.float64) for a in arrays])
    signs = np.random.default_rng(len(x)).choice([-1.0, 1.0], (2, len(x)))
    sums = signs @ (x - x.mean()) / np.sqrt(len(x)) / max(x.std(), 1e-12)
    return [float(v) for v in (len(x), x.mean(), x.std(), *sums)]


def named(what: str, values: Sequence[float]) -> Output:
    return dict(
        zip((f"{what} {n}" for n in ("count", "mean", "std", "a", "b")), values, strict=True)
    )


def text(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def sounds(folder: Path) -> Output:
    """Of audio files and of the tables beside them."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".flac", ".wav"))
    tables = sorted(p for p in folder.rglob("*.tsv"))
    heard = named("samples", spread(sf.read(p)[0] for p in files))
    names = [str(p.relative_to(folder)) for p in files]
    return {"names": text(names), "tables": text([p.read_text() for p in tables]), **heard}


def dataset(folder: Path) -> Output:
    """Of the index in its order, without what depends on the encoder of the audio; of the audio."""
    opened = open_dataset(str(folder))
    facts = ("key", "source_id", "shard", "num_samples", "sample_rate_hz", "subset", "fold")
    rows = [
        {name: getattr(r, name) for name in (*facts, "recording", "weak", "meta")}
        | {"events": [[e.onset_s, e.offset_s, e.label] for e in r.events or ()]}
        for r in opened.rows
    ]
    decoded = (sf.read(io.BytesIO(opened.read(r)))[0] for r in opened.rows[:20])
    return {"rows": text(rows), "classes": text(opened.manifest.classes)} | named(
        "samples", spread(decoded)
    )


def tables(folder: Path) -> Output:
    """Of tables of labels."""
    return {path.name: text(path.read_text()) for path in sorted(folder.glob("*.tsv"))}


def frames(folder: Path) -> Output:
    """Of frame files, clip by clip."""
    found = open_frames(str(folder))
    return {"keys": text(sorted(found))} | named(
        "frames", spread(found.read(k) for k in sorted(found))
    )


def tensors(file: str) -> Callable[[Path], Output]:
    """Of the tensors of a file: all of them, and those that began at zero or one."""

    def measure(folder: Path) -> Output:
        held = {k: v for k, v in sorted(load_file(folder / file).items()) if v.dtype.kind == "f"}
        biases = [v for k, v in held.items() if k.endswith("bias")]
        found = {"names": text(list(held)), **named("all", spread(held.values()))}
        return found | (named("biases", spread(biases)) if biases else {})

    return measure


def learned(file: str, start: str) -> Callable[[Path], Output]:
    """Of how far, in thousandths, training moved the weights that a model began with.

    Beside the weights themselves these steps are small. Of matrices and kernels alone: where a
    softmax or a batch norm takes a bias out again, its gradient is rounding, of which Adam makes
    steps; and batch statistics follow the clips.

    Args:
        file: of the model, in the stage's folder.
        start: of what it began with, from the stage's folder on.
    """

    def measure(folder: Path) -> Output:
        held, before = load_file(folder / file), load_file(folder / start)
        moved = {
            k: 1e3 * (v.astype(np.float64) - before[k])
            for k, v in sorted(held.items())
            if v.dtype.kind == "f" and k in before and v.ndim > 1
            if not np.array_equal(v, before[k])
        }
        return {"moved": text(list(moved)), **named("moved", spread(moved.values()))}

    return measure


def embedded(folder: Path) -> Output:
    return frames(folder) | tensors("encoder.safetensors")(folder)


def results(folder: Path) -> Output:
    """Of the metrics of all classes."""
    found = json.loads((folder / "results.json").read_text())
    return {
        f"{subset} {metric}": float(np.mean(list(of["per_class"].values())))
        for subset, metrics in found.items()
        for metric, of in metrics.items()
    }


def levels(folder: Path) -> Output:
    """Of the levels of clips."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(p) for p in sorted((folder / "levels").glob("*.parquet"))]
    found = tables[0].to_pylist() + [row for t in tables[1:] for row in t.to_pylist()]
    numbers = sorted(k for k, v in found[0].items() if isinstance(v, int | float))
    values = [np.array([float(row[k] or 0) for row in found]) for k in numbers]
    return {"names": text(numbers), **named("levels", spread(values))}


def survey(folder: Path) -> Output:
    """Of what is known of prototypes."""
    found = [json.loads(p.read_text()) for p in sorted((folder / "usage").glob("*.json"))]
    flat: list[float] = []

    def gather(value: object) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                gather(value[key])
        elif isinstance(value, list):
            for item in value:
                gather(item)
        elif isinstance(value, int | float):
            flat.append(float(value))

    gather(found)
    return named("usage", spread([np.array(flat)]))
