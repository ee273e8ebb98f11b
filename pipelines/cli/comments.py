"""What is said of a setting: the comment right above its field."""

import ast
import functools
import inspect
import textwrap


def comment_of(settings: type, name: str) -> str:
    """The comment above a field of a dataclass, as one line; empty where there is none."""
    for owner in settings.__mro__:
        found = _comments(owner).get(name)
        if found is not None:
            return found
    return ""


@functools.cache
def _comments(settings: type) -> dict[str, str]:
    """By field that the class itself declares."""
    if settings.__module__ == "builtins":
        return {}
    lines = textwrap.dedent(inspect.getsource(settings)).splitlines()
    (tree,) = ast.parse("\n".join(lines)).body
    found = {}
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above = node.lineno - 2
            said: list[str] = []
            while above >= 0 and lines[above].strip().startswith("#"):
                said.insert(0, lines[above].strip().removeprefix("#").strip())
                above -= 1
            found[node.target.id] = " ".join(said)
    return found
