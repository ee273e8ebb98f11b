"""The rooms of pmam: what they export is there, and what needs no torch loads none."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pmam

ROOT = Path(pmam.__file__).parent
ROOMS = sorted(
    ".".join(("pmam", *path.parent.relative_to(ROOT).parts)) for path in ROOT.rglob("__init__.py")
)
WITHOUT_TORCH = sorted(
    ".".join(("pmam", *path.relative_to(ROOT).with_suffix("").parts))
    for name in ("settings", "errors", "registry")
    for path in ROOT.rglob(f"{name}.py")
)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_exports_what_it_says(room: str) -> None:
    module = importlib.import_module(room)
    assert 1 <= len((module.__doc__ or "").strip().splitlines()) <= 4
    assert module.__all__
    for name in module.__all__:
        assert not isinstance(getattr(module, name), type(sys)), f"{room}.{name} is a module"


@pytest.mark.parametrize("room", ROOMS)
def test_no_export_has_the_name_of_a_file_beside_it(room: str) -> None:
    # Python itself puts a file under its name into the room, and would hide the export.
    module = importlib.import_module(room)
    files = {path.stem for path in Path(module.__file__ or "").parent.iterdir()}
    assert not files & set(module.__all__)


def test_every_room_has_a_stub_that_names_what_is_there() -> None:
    for path in ROOT.rglob("__init__.py"):
        for node in ast.parse(path.with_suffix(".pyi").read_text()).body:
            assert isinstance(node, ast.ImportFrom)
            assert node.module is not None
            assert (path.parent / node.module.replace(".", "/")).with_suffix(".py").is_file()


def test_rooms_settings_and_tables_load_no_torch() -> None:
    assert {"pmam.settings", "pmam.errors", "pmam.encoders.registry"} < set(WITHOUT_TORCH)
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    names = [*ROOMS, *WITHOUT_TORCH]
    done = subprocess.run(
        [sys.executable, "-c", program, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_export_is_the_object_itself() -> None:
    from pmam.metrics import table_scores as module
    from pmam.models.detector import DetectorModel

    assert pmam.DetectorModel is DetectorModel
    assert pmam.psds is module.psds
