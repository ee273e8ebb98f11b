"""The version of code: a hash of a module's source and of all our modules that it imports."""

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path

PACKAGES = ("pmam", "shards", "cluster", "pipelines")


@functools.cache
def code_version(module: str) -> str:
    """Hash of the sources reachable from a module; other packages do not count."""
    digest = hashlib.sha256()
    for name, path in sorted(reachable(module).items()):
        digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def reachable(module: str) -> dict[str, Path]:
    """Our modules that a module imports, directly or not, with their files; itself included."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name.split(".")[0] not in PACKAGES:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        found[name] = Path(spec.origin)
        waiting += imported(found[name].read_text())
    return found


def imported(source: str) -> list[str]:
    """Names of modules that a source text imports, `from a import b` as both `a` and `a.b`."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
            if node.module.split(".")[0] in PACKAGES:
                names += [
                    f"{node.module}.{alias.name}"
                    for alias in node.names
                    if _is_module(f"{node.module}.{alias.name}")
                ]
    return names


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is a module, not a package
        return False
