"""A finished run without what only its making needed: audio, frames, states of trainings.

What stays tells what came out and how: detectors and other checkpoints, prototypes, numbers and
pictures, the index of the dataset, the settings, and each stage's record. The record names what
was removed, and a run that is asked for again is still finished.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import join, store
from pipelines.runtime.stage import DONE, PLAN, read_record

# Folders of stages whose files the stage makes again from its inputs.
REMADE = {"shards", "frames", "moments", "parts", "state", "speed", "tensorboard"}
# And what stages write sound files as.
SOUND = {".flac", ".ogg", ".wav"}


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """What a run was, and what is left of it."""

    files: int  # removed
    freed: int  # bytes
    files_left: int
    bytes_left: int


def clean(url: str, config: str) -> Cleaned:
    """Remove what `is_remade` from all stages of a finished run; killed, it goes on.

    Args:
        url: of the run's folder.
        config: the file of its settings.

    Raises:
        PipelineError: no run is there, or one with a stage that is not finished.
    """
    folder = store(url)
    if folder.size(config) is None:
        raise PipelineError(f"{url}: no {config} in it; give the folder of a run")
    listing = folder.listing()
    stages = sorted({PurePosixPath(name).parent.name for name, _ in listing if _is_record(name)})
    unfinished = [name for name in stages if folder.size(f"{name}/{DONE}") is None]
    if unfinished or not stages:
        raise PipelineError(
            f"{url}: {', '.join(unfinished) or 'no stage'} not finished, and what is there is "
            f"needed to go on; finish it first: pmam run --config {join(url, config)} --out {url}"
        )
    removed = [entry for name in stages for entry in _cleaned(join(url, name))]
    if folder.is_local:
        _remove_empty_folders(Path(folder.root))
    left = folder.listing()
    return Cleaned(
        files=len(removed),
        freed=sum(removed),
        files_left=len(left),
        bytes_left=sum(size for _, size in left),
    )


def is_remade(name: str) -> bool:
    """Whether a file of a stage, by its name in the stage's folder, is made again from inputs."""
    path = PurePosixPath(name)
    return path.parts[0] in REMADE or path.suffix in SOUND


def _is_record(name: str) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) == 2 and path.name in (PLAN, DONE)


def _cleaned(url: str) -> list[int]:
    """Remove it from one stage; the sizes of what was removed."""
    folder = store(url)
    record = read_record(folder, DONE)
    assert record is not None
    removed = {name: size for name, size in folder.listing() if is_remade(name)}
    kept = {name: size for name, size in record["files"].items() if not is_remade(name)}
    before = record.get("cleaned", {"files": 0, "bytes": 0})
    # Before anything goes: a stage whose record names what is not there is refused.
    if kept != record["files"]:
        gone = {name: size for name, size in record["files"].items() if name not in kept}
        cleaned = {
            "files": before["files"] + len(gone),
            "bytes": before["bytes"] + sum(gone.values()),
        }
        folder.write(
            DONE, json.dumps({**record, "files": kept, "cleaned": cleaned}, indent=1).encode()
        )
    for name in removed:
        folder.delete(name)
    return list(removed.values())


def _remove_empty_folders(root: Path) -> None:
    below = sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True)
    for path in below:
        with contextlib.suppress(OSError):  # not empty
            path.rmdir()
