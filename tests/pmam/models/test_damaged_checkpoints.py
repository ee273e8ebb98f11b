"""Damaged checkpoints: a clear error, or the same model.

`PMAM_FUZZ_S=600 pytest -m slow` tries for that long.
"""

import os
import time

import numpy as np
import pytest
from sound_mutations import mutated
from tiny_models import detector, masked

from pmam.models.checkpoint import (
    Checkpoint,
    CheckpointError,
    pack_detector,
    pack_encoder,
    pack_masked,
    unpack,
)

FUZZ_S = float(os.environ.get("PMAM_FUZZ_S", "60"))
LONG = (pytest.mark.slow, pytest.mark.timeout(FUZZ_S + 600))
QUICK = 250
PACKED = {
    "detector": lambda: pack_detector(detector()),
    "masked": lambda: pack_masked(masked()),
    "encoder": lambda: pack_encoder(detector().backbone.encoder),
}


def fuzz(kind: str, count: int | None) -> int:
    """How many of the damaged files were refused; None: as many as there is time for."""
    whole = PACKED[kind]()
    data = whole.to_bytes()
    end_s, tried, refused = time.monotonic() + FUZZ_S, 0, 0
    while tried < count if count is not None else time.monotonic() < end_s:
        bad = mutated(data, np.random.default_rng([7, tried]))
        tried += 1
        try:
            found = Checkpoint.from_bytes(bad, "x")
            if found is None:  # it does not tell what it is, and is refused by who reads it
                refused += 1
                continue
            unpack(found, "x")
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert found.tensors == whole.tensors
        assert found.fingerprint == whole.fingerprint, f"{kind} {tried}"
    print(f"{kind}: {tried} tried, {refused} refused")
    return refused


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("count", [QUICK, pytest.param(None, marks=LONG)])
def test_damaged_checkpoints(kind: str, count: int | None) -> None:
    assert fuzz(kind, count) > 0
