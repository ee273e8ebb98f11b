"""What a node runs: its Python, its packages and the code, to be compared with what a driver runs.

Results of nodes that differ do not belong together, and a job that half of the cluster cannot run
ends in the middle.
"""

import functools
import hashlib
import importlib.util
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cluster.errors import ClusterError

PYTHON, CODE = "Python", "code of "
ABSENT = "none"
SOURCES = (".py", ".html", ".css")
SHOWN = 4  # differences that are told of one node
Report = Mapping[str, str]  # what there is, by what it is of


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found of the nodes of a cluster."""

    # What every process must run; None where there is one machine.
    expected: Report | None = None
    left_out: tuple[str, ...] = ()  # ids of nodes that run something else


class OtherCodeError(ClusterError, RuntimeError):
    """A node whose code or packages are not those of the driver; the message is one line."""


@functools.lru_cache(maxsize=4)
def report(modules: tuple[str, ...], packages: tuple[str, ...]) -> Report:
    """What this process runs.

    Args:
        modules: names of top-level packages whose sources are compared.
        packages: names of installed distributions whose versions are.
    """
    found = {PYTHON: platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ABSENT
    for module in modules:
        found[f"{CODE}{module}"] = _digest(module)
    return found


def _digest(module: str) -> str:
    """Of the names and bytes of a package's sources and templates."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return ABSENT
    root = Path(next(iter(spec.submodule_search_locations)))
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in SOURCES and path.is_file():
            found.update(path.relative_to(root).as_posix().encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]


def differences(here: Report, there: Report) -> list[str]:
    """What another node runs otherwise, in words; empty where it is the same."""
    found = []
    for name, mine in here.items():
        theirs = there.get(name, ABSENT)
        if theirs == mine:
            continue
        if name.startswith(CODE):
            found.append(f"has {'no' if theirs == ABSENT else 'other'} {name}")
        else:
            found.append(f"has {name} {theirs} instead of {mine}")
    return found


def told(wrong: Sequence[str]) -> str:
    """Differences of one node as a part of a line."""
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return ", ".join(wrong[:SHOWN]) + more


def check_here(expected: Report, modules: tuple[str, ...], packages: tuple[str, ...]) -> None:
    """See that this process runs what the driver runs; it may be on a node that joined later.

    Raises:
        OtherCodeError: it does not.
    """
    if wrong := differences(expected, report(modules, packages)):
        import ray

        raise OtherCodeError(
            f"node {ray.util.get_node_ip_address()} joined the cluster while the command was at "
            f"work, and {told(wrong)}; it did nothing: give it the same image or environment, or "
            "take it away, and the same command goes on"
        )
