"""From a template of this folder to a page; every text that is put in is escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.runtime.words import counted

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,  # a name that is missing is an error, not an empty text
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.globals["counted"] = counted


def rendered(template: str, **values: Any) -> str:
    """The page that a template makes of some values."""
    return _TEMPLATES.get_template(template).render(**values)
