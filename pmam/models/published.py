"""Weights that others published: read without running code in them, and given to an encoder."""

import argparse
import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pmam.encoders.base import FrameEncoder
from pmam.models.checkpoint import CheckpointError
from pmam.models.state_dict import StateDictError

# What training scripts keep beside the weights: plain values by name.
HARMLESS: list[Any] = [argparse.Namespace]
WEIGHTS_SUFFIXES = (".pth", ".pt")
# In what torch itself writes, which is a zip archive too.
OF_TORCH = "data.pkl"


def read_foreign(path: Path) -> object:
    """What `torch.save` wrote, alone or in a zip archive, without running any code in it.

    Raises:
        CheckpointError: the file is missing, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of a published file")
    try:
        with _unzipped(path) as file, torch.serialization.safe_globals(HARMLESS):
            loaded: object = torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # torch raises many kinds for a file that is not its own
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path}: cannot be read as weights ({reason})") from error
    return loaded


@contextlib.contextmanager
def _unzipped(path: Path) -> Iterator[Path]:
    """The file itself, or the one file of weights in the archive that it is."""
    if not zipfile.is_zipfile(path):
        yield path
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        if any(name.endswith(OF_TORCH) for name in names):
            yield path
            return
        weights = [name for name in names if name.endswith(WEIGHTS_SUFFIXES)]
        if len(weights) != 1:
            raise CheckpointError(
                f"{path}: an archive with {len(weights)} files of weights "
                f"({', '.join(WEIGHTS_SUFFIXES)}); expected one: unpack it, and give the file"
            )
        out = Path(folder) / "weights.pth"  # a name of ours: theirs could lead elsewhere
        with archive.open(weights[0]) as packed, out.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        yield out


def read_published(path: Path) -> dict[str, Tensor]:
    """A state dict from a published file.

    Raises:
        CheckpointError: as `read_foreign`, or it is no state dict of tensors.
    """
    return state_dict_of(read_foreign(path), str(path))


def state_dict_of(loaded: object, name: str) -> dict[str, Tensor]:
    """What a file holds, if that is a state dict of tensors; `name` stands in errors.

    Training scripts store it as `model`, beside the state of the optimizer and the like.

    Raises:
        CheckpointError: it is none.
    """
    if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
        loaded = loaded["model"]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise CheckpointError(f"{name}: expected a state dict of tensors")
    return loaded


def load_published(encoder: FrameEncoder, published: dict[str, Tensor], name: str) -> None:
    """Give an encoder the weights of a published file.

    Raises:
        CheckpointError: names and shapes do not fit this encoder.
    """
    try:
        encoder.load_published(published)
    except StateDictError as error:
        raise CheckpointError(
            f"{name}: {error}; give the file published for this encoder"
        ) from error
