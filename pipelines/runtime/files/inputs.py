"""What a command or stage reads: whether it is there, and what identifies it.

Loads no torch, and pyarrow with the first look.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cluster.storage.urls import absolute
from pipelines.runtime.errors import MissingFileError
from pipelines.runtime.files.urls import (
    PROTOTYPES_FILE,
    checkpoint_fingerprint,
    dataset_fingerprint,
    file_fingerprint,
    join,
    lacking_checkpoint,
    prototypes_fingerprint,
    store,
)
from pipelines.runtime.stage import fingerprint_of, listing_fingerprint, record_of


@dataclass(frozen=True)
class Kind:
    """A kind of input."""

    # Refuses a URL at which there is no such thing; it reads a small file at most.
    check: Callable[[str], object]
    # What identifies the content at a URL.
    fingerprint: Callable[[str], str]


def checked(*inputs: tuple[Kind, str | None]) -> list[str]:
    """The URLs of inputs that are there, made absolute; those that are None are left out.

    Raises:
        PipelineError, DatasetError: one is not there, or something else.
    """
    given = [(kind, place) for kind, place in inputs if place is not None]
    for kind, place in given:
        kind.check(place)
    return [absolute(place) for _, place in given]


def check_checkpoint(url: str) -> None:
    """Refuse a URL without a checkpoint of ours.

    Raises:
        MissingFileError: one of its files is not there.
    """
    if absent := lacking_checkpoint(url):
        raise MissingFileError(absent)


def check_file(url: str) -> None:
    """Refuse a URL without a file.

    Raises:
        MissingFileError: there is none.
    """
    if _type_of(url) != "File":
        raise MissingFileError(f"{url}: no such file; check the path")


def check_folder(url: str) -> None:
    """Refuse a URL without a folder.

    Raises:
        MissingFileError: there is none.
    """
    if _type_of(url) != "Directory":
        raise MissingFileError(f"{url}: no such folder; check the path")


def check_weights(place: str) -> None:
    """Refuse a path without a file; names and URLs of published weights are left to who reads.

    Raises:
        MissingFileError: there is none.
    """
    path = place.partition("#")[0]
    if path.endswith(".safetensors"):
        check_checkpoint(path)
    elif "://" not in path and "." in path.rpartition("/")[2]:
        check_file(path)


def check_prototypes(url: str) -> None:
    """Refuse a URL without prototypes.

    Raises:
        MissingFileError: there are none.
    """
    place = join(url, PROTOTYPES_FILE)
    if _type_of(place) != "File":
        raise MissingFileError(
            f"{place}: no such file; expected a folder of prototypes, as `pmam fit` writes it"
        )


def check_dataset(url: str) -> None:
    """Refuse a URL without a packed dataset.

    Raises:
        DatasetError: there is none.
    """
    from shards.manifest import read_manifest

    read_manifest(store(url))


def _type_of(url: str) -> str:
    """`File`, `Directory`, `NotFound`, ..."""
    return str(store(url).kind().name)


DATASET = Kind(check_dataset, dataset_fingerprint)
CHECKPOINT = Kind(check_checkpoint, checkpoint_fingerprint)
PROTOTYPES = Kind(check_prototypes, prototypes_fingerprint)
STAGE = Kind(record_of, fingerprint_of)  # a finished one
WEIGHTS = Kind(check_weights, file_fingerprint)  # of an encoder
FOLDER = Kind(check_folder, listing_fingerprint)  # of raw files
FILE = Kind(check_file, file_fingerprint)
