"""Weights that others published: read without running code in them, and given to an encoder."""

from pathlib import Path

import torch
from torch import Tensor

from pmam.encoders.base import FrameEncoder
from pmam.models.checkpoint import CheckpointError
from pmam.models.state_dict import StateDictError


def read_foreign(path: Path) -> object:
    """What `torch.save` wrote, without running any code in it.

    Raises:
        CheckpointError: the file is missing, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of a published file")
    try:
        loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is not its own
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path}: cannot be read as weights ({reason})") from error
    return loaded


def read_published(path: Path) -> dict[str, Tensor]:
    """A state dict from a published file.

    Raises:
        CheckpointError: as `read_foreign`, or it is no state dict of tensors.
    """
    return state_dict_of(read_foreign(path), str(path))


def state_dict_of(loaded: object, name: str) -> dict[str, Tensor]:
    """What a file holds, if that is a state dict of tensors; `name` stands in errors.

    Raises:
        CheckpointError: it is none.
    """
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
