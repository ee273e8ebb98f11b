"""Artifacts behind URLs: opened anew in each process so that no credential travels.

Models and prototypes load torch, datasets and filesystems pyarrow: when they are opened and not
before, since the help of a command opens nothing.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.storage.urls import absolute
from pipelines.runtime.errors import MissingFileError

if TYPE_CHECKING:
    from pmam.models.checkpoint import Checkpoint
    from pmam.prototypes.artifact import Prototypes
    from shards.dataset import Dataset
    from shards.io.store import Store

PROTOTYPES_FILE = "prototypes.json"  # names the tensors beside it


def store(url: str) -> "Store":
    """The folder at a URL or local path."""
    from cluster.storage.filesystems import filesystem
    from shards.io.store import Store

    return Store(*filesystem(url))


def open_dataset(url: str) -> "Dataset":
    """The dataset at a URL or local path, with shards that lie elsewhere."""
    from shards.dataset import Dataset  # decoders and tables, which many commands do without

    return Dataset.open(store(url), resolve=store)


def join(url: str, name: str) -> str:
    """A name below a URL."""
    return f"{url.rstrip('/')}/{name}"


def is_folder(file: str) -> bool | None:
    """Whether it is a folder; None where there is neither a file nor a folder."""
    place = store(file)
    if place.is_local:  # not through pyarrow, which cannot name what is not UTF-8
        path = Path(place.root)
        return path.is_dir() if path.exists() else None
    from pyarrow.fs import FileType

    kind = place.kind()
    return None if kind == FileType.NotFound else bool(kind == FileType.Directory)


def write_checkpoint(target: "Store", name: str, checkpoint: "Checkpoint") -> None:
    """One file, `<name>.safetensors`."""
    target.write(f"{name}.safetensors", checkpoint.to_bytes())


def checkpoint_stem(url: str) -> tuple[str, str]:
    """The folder of a checkpoint and its name without suffix, of a URL with or without one."""
    plain = absolute(url).removesuffix(".json").removesuffix(".safetensors")
    parent, _, stem = plain.rpartition("/")
    return parent or "/", stem


def lacking_checkpoint(url: str) -> str | None:
    """What is missing of a checkpoint, in one line; None where it is there."""
    folder, stem = checkpoint_stem(url)
    source = store(folder)
    file = f"{stem}.safetensors"
    if source.size(file) is not None:
        return None
    return f"{source.path(file)}: no such file; expected a checkpoint, as `pmam finetune` writes it"


def read_checkpoint(url: str) -> "Checkpoint":
    """A checkpoint by the URL of its `.safetensors`, with or without the suffix.

    Older ones have their description beside it, in `<name>.json`; that one may be named too.

    Raises:
        CheckpointError: there is none.
    """
    from pmam.models.checkpoint import Checkpoint, CheckpointError

    if absent := lacking_checkpoint(url):
        raise CheckpointError(absent)
    folder, stem = checkpoint_stem(url)
    source = store(folder)
    file, beside = f"{stem}.safetensors", f"{stem}.json"
    tensors = source.read(file)
    found = Checkpoint.from_bytes(tensors, url)
    if found is not None:
        return found
    if source.size(beside) is None:
        raise CheckpointError(
            f"{source.path(file)}: does not tell what model it is, and {beside} is not beside it; "
            "give a checkpoint that `pmam` wrote, of an old one both files"
        )
    return Checkpoint(tensors=tensors, description=source.read(beside))


def write_prototypes(target: "Store", prototypes: "Prototypes") -> None:
    """Both files of the prototypes, the one that names the other last."""
    for name, data in prototypes.to_files().items():
        target.write(name, data)


def read_prototypes(url: str) -> "Prototypes":
    """The prototypes in a folder.

    Raises:
        MissingFileError: a file is missing.
        InputError: as `Prototypes.from_files`.
    """
    from pmam.prototypes.artifact import DESCRIPTION, TENSORS, Prototypes

    source = store(url)
    names = (DESCRIPTION, TENSORS)
    for name in names:
        if source.size(name) is None:
            raise MissingFileError(
                f"{source.path(name)}: no such file; expected prototypes: run fit"
            )
    return Prototypes.from_files({name: source.read(name) for name in names}, source.root)


def dataset_fingerprint(url: str) -> str:
    """What identifies a dataset: the sha256 of its manifest."""
    from shards.manifest import MANIFEST, read_manifest

    source = store(url)
    read_manifest(source)  # says what is wrong where there is none
    return hashlib.sha256(source.read(MANIFEST)).hexdigest()


def checkpoint_fingerprint(url: str) -> str:
    """What identifies a checkpoint: see `Checkpoint.fingerprint`."""
    return read_checkpoint(url).fingerprint


def prototypes_fingerprint(url: str) -> str:
    """What identifies prototypes: the sha256 of their description, which names their tensors."""
    return file_fingerprint(join(absolute(url), PROTOTYPES_FILE))


def file_fingerprint(url: str) -> str:
    """The sha256 of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    parent, _, name = absolute(url).rpartition("/")
    source = store(parent or "/")
    if source.size(name) is None:
        raise MissingFileError(f"{url}: no such file; check the path")
    return hashlib.sha256(source.read(name)).hexdigest()
