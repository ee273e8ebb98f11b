"""Templates in which every value is quoted by the rules of the language that they make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def templates(folder: Path, quoted: Callable[[Any], Any]) -> Environment:
    """The templates of a folder.

    Args:
        folder: where they lie.
        quoted: called for each value in a template; gives what stands there.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        finalize=quoted,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
