"""The rooms of pipelines: listed is what is there, and nothing loads before it is asked for."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipelines.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = ROOT / "pipelines"


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def test_every_stage_is_listed_and_is_one() -> None:
    versioned = {
        module_of(file)
        for file in PIPELINES.rglob("*.py")
        if "\nALGORITHM_VERSION = " in file.read_text()
    }
    assert versioned == set(STAGES.values())
    for name, module in STAGES.items():
        assert callable(getattr(importlib.import_module(module), name))


def test_all_stages_are_kept_apart() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (kept,) = (c["modules"] for c in contracts if c["type"] == "independence")
    there = {
        f"pipelines.stages.{path.stem}"
        for path in (PIPELINES / "stages").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists())
        and path.stem not in ("__init__", "settings")
    }
    assert set(kept) == there


@pytest.mark.parametrize(
    "stub", sorted(PIPELINES.rglob("__init__.pyi")), ids=lambda stub: stub.parent.name
)
def test_what_a_room_exports_is_there(stub: Path) -> None:
    room = importlib.import_module(module_of(stub.parent / "x").rpartition(".")[0])
    names = re.findall(r" as (\w+)", stub.read_text())
    assert names
    for name in names:
        assert getattr(room, name) is not None, name


@pytest.mark.parametrize("room", ["pipelines", "pipelines.runtime", "pipelines.stages"])
def test_a_room_loads_nothing_by_itself(room: str) -> None:
    code = f"import sys, {room}; print(sorted({{'torch', 'ray', 'matplotlib'}} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_the_readme_names_files_that_are_there() -> None:
    text = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:pipelines|pmam|shards|cluster|benchmarks)/[\w./]*)`", text)
    assert len(links) > 20 and len(named) > 10
    assert [path for path in links + named if not (ROOT / path).exists()] == []
    rooms = {file.parent for file in PIPELINES.rglob("__init__.py") if file.parent != PIPELINES}
    top = {room for room in rooms if room.parent == PIPELINES}
    assert {f"{room.relative_to(ROOT)}/__init__.py" for room in top} <= set(links)


def test_no_export_has_the_name_of_a_file_beside_it() -> None:
    """Python would take the one for the other, by what was imported first."""
    for stub in PIPELINES.rglob("__init__.pyi"):
        exported = set(re.findall(r" as (\w+)$", stub.read_text(), re.MULTILINE))
        beside = {path.stem for path in stub.parent.iterdir()}
        assert not exported & beside, stub


def test_what_a_room_names_as_a_file_of_it_is_there() -> None:
    """A name in lower case between backticks is a file or room beside, or of the packages."""
    of_others = {"ray.io/v1", "replace"}
    missing = []
    for package in ("pmam", "shards", "cluster", "pipelines"):
        for init in (ROOT / package).rglob("__init__.py"):
            text = ast.get_docstring(ast.parse(init.read_text())) or ""
            for name in re.findall(r"`([a-z][a-z0-9_./]*)`", text):
                places = (init.parent / name, init.parent / f"{name}.py", ROOT / name)
                if name not in of_others and not any(place.exists() for place in places):
                    missing.append(f"{init.relative_to(ROOT)}: {name}")
    assert missing == []
