"""From a template of this folder to a page; every text that is put in is escaped."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.runtime.words import counted

_FOLDER = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,  # a name that is missing is an error, not an empty text
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_SCRIPT = (_FOLDER / "listen.js").read_text(encoding="utf-8")
_TEMPLATES.globals["counted"] = lambda *given: _in_one_line(counted(*given))
_TEMPLATES.globals["script"] = _SCRIPT  # our own file, no text of a dataset
# The one script that a page may run: whatever a label says, nothing else does.
_TEMPLATES.globals["script_hash"] = base64.b64encode(
    hashlib.sha256(_SCRIPT.encode()).digest()
).decode()


def _in_one_line(text: str) -> str:
    """A text whose numbers, `1 270`, are not broken over two lines."""
    return re.sub(r"(?<=\d) (?=\d)", "\u00a0", text)


def rendered(template: str, **values: Any) -> str:
    """The page that a template makes of some values."""
    return _TEMPLATES.get_template(template).render(**values)
