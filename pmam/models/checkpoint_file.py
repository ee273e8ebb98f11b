"""The description of a model in the metadata of its safetensors file: in, out, and what is left.

The layout (https://huggingface.co/docs/safetensors): eight bytes with the length of a JSON header,
the header, the tensors. Texts in the header's `__metadata__` belong to whoever writes them.
"""

import json
from typing import Any

import safetensors
import safetensors.torch

METADATA, OURS = "__metadata__", "pmam"
LENGTH_BYTES = 8


def with_description(tensors: bytes, description: str) -> bytes:
    """A safetensors file with a description in its metadata, in place of what was there."""
    header, data = _parted(tensors)
    of_tensors = {name: entry for name, entry in header.items() if name != METADATA}
    described = {METADATA: {OURS: description}, **of_tensors}
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)  # tensors begin at a multiple of it
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + data


def description_in(file: bytes) -> str | None:
    """The description in a safetensors file; None where it has none.

    Raises:
        ValueError: it is no safetensors file.
    """
    metadata = _parted(file)[0].get(METADATA, {})
    return metadata.get(OURS) if isinstance(metadata, dict) else None


def tensors_alone(file: bytes) -> bytes:
    """The tensors of a safetensors file as the library lays them out, without metadata.

    Two files with the same tensors give the same bytes, whoever wrote them.

    Raises:
        ValueError: it is no safetensors file.
    """
    try:
        tensors = safetensors.torch.load(file)
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error
    return safetensors.torch.save(tensors)


def _parted(file: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data."""
    begin = LENGTH_BYTES + int.from_bytes(file[:LENGTH_BYTES], "little")
    if begin > len(file):
        raise ValueError(f"{len(file)} bytes with a header of {begin - LENGTH_BYTES}")
    header = json.loads(file[LENGTH_BYTES:begin])
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header, file[begin:]
