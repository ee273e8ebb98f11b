"""import logmel: the MTL repository's spectrograms (HDF5) as a dataset of arrays in shards."""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cluster.storage.urls import absolute
from pipelines.runtime.declared import NoSettings, Work, stage_function
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import file_fingerprint, join, store
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.runtime.workers.progress import bar
from shards.audio.decoding import AudioInfo
from shards.clip import Clip
from shards.errors import Faults
from shards.io.range_file import opened
from shards.label_columns import label_counts
from shards.loading.array_reader import CODEC, file_of
from shards.manifest import SHARD_FOLDER, write_dataset
from shards.packing.writer import WrittenShard, write_made_shard
from shards.sources._tables import stem
from shards.sources.mtl import RECIPES, mixture, read_recipes

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

CLIP_S, RATE_HZ = 10.0, 32_000  # of the mixtures that the spectrograms are of
PER_SHARD = 500
NAME = re.compile(r".*snr_(?P<snr_db>-?\d+)\.(h5|hdf5)")
COLUMNS = ("fold", "audio_name", "mixture_logmel", "target")


@stage_function(ALGORITHM_VERSION)
def import_logmel(file: str, out: str, *, name: str = "import_logmel", fresh: bool = False) -> Work:
    """Pack the spectrograms of one file; returns the URL of the dataset.

    Args:
        file: URL of `logmel_snr_*.h5`.
        out: the folder of the dataset.
        name: of the stage.
        fresh: start over.

    Raises:
        PipelineError: no `mixture.yaml` beside, h5py missing, or a file of another shape.
    """
    file = absolute(file)
    recipes = _recipes_of(file)
    found = NAME.fullmatch(file)
    if found is None:
        raise PipelineError(
            f"{file}: expected a name such as logmel_snr_10.h5, which tells the ratio; rename it"
        )
    snr_db = int(found["snr_db"])

    def work(stage: Stage) -> dict[str, Any]:
        with _opened(file) as h5:
            written = _pack(stage, file, h5, recipes.rpartition("/")[0], snr_db)
        rows = [row for shard in written for row in shard.rows]
        classes = sorted({label for row in rows for label in row.weak or ()})
        write_dataset(
            stage.store,
            rows,
            name=f"logmel_snr_{snr_db}",
            licence="unknown",
            classes=classes,
            shards=[shard.entry for shard in written],
        )
        return {
            "clips": len(rows),
            "shards": len(written),
            "subsets": {"weak": len(rows)},
            "labels": label_counts(rows),
            "skipped": [],
            "notes": [f"spectrograms instead of audio, at {snr_db} dB"],
        }

    identified = {"file": file_fingerprint(file), "recipes": file_fingerprint(recipes)}
    return Work(do=work, settings=NoSettings(), inputs=identified, summary=_summary)


def _recipes_of(file: str) -> str:
    """`mixture.yaml` beside the file or in the folder above, where the published code looks."""
    folder = file.rpartition("/")[0]
    places = [folder, folder.rpartition("/")[0]]
    for place in places:
        if place and store(place).size(RECIPES) is not None:
            return join(place, RECIPES)
    raise PipelineError(
        f"{file}: no {RECIPES} beside it, nor in the folder above; it names the classes of the "
        "file's columns: put it there"
    )


@contextlib.contextmanager
def _opened(file: str) -> Iterator[Any]:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise PipelineError(
            f"{file}: reading HDF5 needs h5py; install it with pmam's extra h5: uv sync --extra h5"
        ) from error
    parent, _, name = file.rpartition("/")
    with opened(store(parent), name) as handle:
        try:
            h5 = h5py.File(handle, "r")
        except OSError as error:
            raise PipelineError(f"{file}: no HDF5 file ({error}); copy it again") from error
        with h5:
            yield h5


def _pack(stage: Stage, file: str, h5: Any, recipes_folder: str, snr_db: int) -> list[WrittenShard]:
    folder = store(recipes_folder)
    recipes = read_recipes(folder)
    _check_shape(file, h5)
    names = [stem(name.decode()) for name in h5["audio_name"][:]]
    unknown = [name for name in names if name not in recipes]
    if unknown:
        raise PipelineError(
            f"{file}: {len(unknown)} of {len(names)} clips are not in {RECIPES}, such as "
            f"{unknown[0]}; give the {RECIPES} of this file"
        )
    labels = {each["event_label"] for recipe in recipes.values() for each in recipe["events"]}
    classes, width = sorted(labels), h5["target"].shape[1]
    if len(classes) != width:
        raise PipelineError(
            f"{file}: {width} columns of targets, and {len(classes)} classes in {RECIPES}; give "
            f"the {RECIPES} of this file"
        )
    hop_samples = -(-int(CLIP_S * RATE_HZ) // h5["mixture_logmel"].shape[1])
    frames = h5["mixture_logmel"].shape[1]
    info = AudioInfo(
        codec=CODEC,
        sample_rate_hz=RATE_HZ,
        num_samples=min(int(CLIP_S * RATE_HZ), frames * hop_samples),
        channels=1,
    )

    faults = Faults(PipelineError)

    def clips(first: int) -> Iterator[tuple[Clip, bytes, AudioInfo]]:
        span = slice(first, min(first + PER_SHARD, len(names)))
        arrays, targets = h5["mixture_logmel"][span], h5["target"][span]
        folds = h5["fold"][span]
        for name, array, target, fold in zip(names[span], arrays, targets, folds, strict=True):
            clip = mixture(folder, name, recipes[name], f"{file}#{name}", snr_db)
            told = tuple(n for n, there in zip(classes, target, strict=True) if there > 0)
            with faults.noted():
                if told != clip.weak or clip.fold != int(fold):
                    raise PipelineError(
                        f"{file}: {name}: target {', '.join(told)} in fold {int(fold)}, and "
                        f"{', '.join(clip.weak or ())} in fold {clip.fold} by {RECIPES}; give the "
                        f"{RECIPES} of this file"
                    )
                if not np.isfinite(array).all():
                    raise PipelineError(f"{file}: {name}: NaN or infinity among its numbers")
            yield clip, file_of(np.asarray(array, np.float32)), info

    written = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        bar(f"{stage.name} (clips)", len(names)) as advance,
    ):
        for number, first in enumerate(range(0, len(names), PER_SHARD)):
            path = Path(scratch) / "shard.tar"
            shard = write_made_shard(f"{SHARD_FOLDER}/{number:05d}.tar", clips(first), path)
            written.append(shard.stored_as(stage.store.publish(shard.name, path)))
            advance(len(shard.rows), "")
    faults.check()
    return written


def _check_shape(file: str, h5: Any) -> None:
    """Refuse a file that is not laid out as published."""
    lacking = [name for name in COLUMNS if name not in h5]
    if lacking:
        there = ", ".join(sorted(h5)) or "nothing"
        raise PipelineError(
            f"{file}: no {', '.join(lacking)} in it, but {there}; expected {', '.join(COLUMNS)}"
        )
    shapes = {name: tuple(h5[name].shape) for name in COLUMNS}
    count = shapes["fold"][0] if len(shapes["fold"]) == 1 else -1
    fits = (
        count > 0
        and shapes["audio_name"] == (count,)
        and len(shapes["mixture_logmel"]) == 3
        and len(shapes["target"]) == 2
        and shapes["mixture_logmel"][0] == shapes["target"][0] == count
    )
    if not fits:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise PipelineError(
            f"{file}: {told}; expected fold (n,), audio_name (n,), mixture_logmel (n, frames, "
            "mels) and target (n, classes)"
        )


def _summary(result: Mapping[str, Any]) -> str:
    return f"took {counted(result['clips'], 'spectrogram')}"
