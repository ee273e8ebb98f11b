"""How near words are to each other, by a sentence model."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError
from pmam.tagging.settings import DEFAULT_MODEL

Floats = npt.NDArray[np.float32]


class Encodes(Protocol):
    """Anything that turns texts into vectors."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """`(texts, width)`."""


class SentenceModel:
    """A model of `sentence-transformers`, by the path of its folder or by its name.

    A name is looked up in Hugging Face's cache on this machine, and downloaded into it otherwise;
    with `HF_HUB_OFFLINE=1` nothing is downloaded.

    Raises:
        InputError: the package or the model is not there; says how to get it.
    """

    def __init__(self, place: str = DEFAULT_MODEL) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise InputError(
                "words need the package sentence-transformers: install pmam with the extra "
                "`words` (`uv sync --extra words`, or pip install 'pmam[words]')"
            ) from error
        _without_bars()
        local = Path(place).expanduser()
        if not local.is_dir() and _is_path(place):
            raise InputError(f"{place}: no such folder; {_how_to_get(place)}")
        name = str(local) if local.is_dir() else place
        try:
            self._model: Any = SentenceTransformer(
                name,
                device="cpu",
                trust_remote_code=False,
                local_files_only=local.is_dir(),
                model_kwargs={"use_safetensors": True},
            )
        except Exception as error:  # of many kinds: of the network, the cache and the files
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"sentence model {place}: cannot be loaded ({reason}); {_how_to_get(place)}"
            ) from error

    def encode(self, texts: Sequence[str]) -> Floats:
        """`(texts, width)`."""
        vectors = self._model.encode(
            list(texts), convert_to_numpy=True, show_progress_bar=False, batch_size=64
        )
        return np.asarray(vectors, np.float32)


def _without_bars() -> None:
    """Keep a bar of loading weights, which takes no time, from the terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _is_path(place: str) -> bool:
    return place.startswith((".", "~", os.sep)) or place.count("/") > 1


def _how_to_get(place: str) -> str:
    name = DEFAULT_MODEL if _is_path(place) else place
    return (
        f"where there is a network, `hf download sentence-transformers/{name} --local-dir FOLDER` "
        "gets one; give --sentences FOLDER"
    )


def similarities(model: Encodes, first: Sequence[str], second: Sequence[str]) -> Floats:
    """Cosines of the vectors of texts: `(first, second)`."""
    both = model.encode([*first, *second])
    norms = np.linalg.norm(both, axis=1, keepdims=True)
    unit = both / np.where(norms > 0, norms, 1.0)
    cosines: Floats = unit[: len(first)] @ unit[len(first) :].T
    return cosines


def cleaned(text: str) -> str:
    """In lower case, without quotes and square brackets: how TMRL compares texts."""
    return re.sub(r"[\"'\[\]]", "", text.lower())


def plain(text: str) -> str:
    """Letters and digits alone, in lower case: `Baby cry`, `babycry` and `baby_cry` are one."""
    return re.sub(r"[^0-9a-z]", "", text.lower())
