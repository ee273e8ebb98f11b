"""What rooms export is there, and importing a room loads none of it."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import cluster
import shards

ROOMS = [
    room.name
    for package in (shards, cluster)
    for room in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if room.ispkg
]


@pytest.mark.parametrize("room", ["shards", "cluster", *ROOMS])
def test_all_that_a_room_exports_is_there(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__doc__
    assert module.__all__
    for name in module.__all__:
        getattr(module, name)  # raises where it is not
    # an import of `room.x` would put the module `x` in the place of what it exports
    files = {path.stem for path in Path(str(module.__file__)).parent.glob("*.py")}
    assert room == "shards.sources" or not files & set(module.__all__)


@pytest.mark.parametrize("room", ["shards", "cluster", *ROOMS])
def test_to_import_a_room_loads_nothing_heavy(room: str) -> None:
    script = (
        f"import sys, {room}\n"
        "heavy = ('torch', 'ray', 'webdataset', 'pandas', 'matplotlib', 'scipy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_reading_a_dataset_loads_neither_torch_nor_ray() -> None:
    script = (
        "import sys\n"
        "from cluster.storage import absolute, filesystem\n"
        "from shards import Dataset, Loader, Loading, Store, read_manifest, verify\n"
        "print([name for name in ('torch', 'ray', 'webdataset') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = shards.nothing  # type: ignore[attr-defined]
