"""Fixtures that all tests share: where real data lies, and one Ray session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# As pipelines/__init__.py does, for tests that load torch without it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# The numbers of a training depend on how many threads add them up, and so on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
# Time limits of single examples fail on a busy machine, and say nothing of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real recordings beside the checkout."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"real data not found at {path}: these tests need it beside the checkout")
    return path


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """The folder of numbers that the reference computed."""
    path = Path(os.environ.get("PMAM_PARITY_DIR", ROOT.parent / "shared" / "parity"))
    if not path.is_dir():
        pytest.skip(f"parity fixtures not found at {path}: set PMAM_PARITY_DIR")
    return path


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A small local Ray, started once: it takes seconds."""
    from cluster.session import session

    with session():
        yield


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes by their argument's name: files made at each start differ, their tests do not."""
    return argname if isinstance(val, bytes | bytearray) else None
