"""Files of annotations that a command writes: their formats, and their names."""

import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence

from cluster.storage.urls import absolute
from pipelines.runtime.errors import PipelineError
from shards.annotations.format import Format
from shards.annotations.registry import format_named

MOST_NAME_BYTES = 200  # of the last part of a name, without suffix: file systems take 255


class FormatError(PipelineError):
    """A format that does not fit what is to be written."""


def chosen_formats(
    names: Sequence[str], files: int, output_dir: str | None, together: bool
) -> dict[str, Format]:
    """The formats of some names, if they can tell the events of so many files.

    Raises:
        AnnotationError: there is no such format.
        FormatError: it takes one file for each recording, or several have nowhere to go.
    """
    chosen = {name: format_named(name) for name in names}
    if not chosen:
        raise FormatError("got no format; give one or several, with commas between")
    if len(chosen) > 1 and output_dir is None:
        raise FormatError(
            f"got the formats {', '.join(chosen)}, and standard output takes one; give --output-dir"
        )
    for name, each in chosen.items():
        if each.one_file and files > 1 and (together or output_dir is None):
            raise FormatError(
                f"got {files} files, and {name} text tells the events of one; "
                "give --output-dir to get a text for each, or take another format"
            )
    by_suffix: dict[str, str] = {}
    for name, each in chosen.items():
        if (other := by_suffix.setdefault(each.suffix, name)) != name:
            raise FormatError(
                f"got the formats {other} and {name}, whose files have the same name; take one"
            )
    return chosen


def output_names(files: Sequence[str]) -> Mapping[str, str]:
    """Each file's name below the deepest folder that holds all of them; no two are the same.

    Bytes that are not UTF-8 become backslash escapes; what is too long for a file system is cut,
    with a hash of the whole behind it.
    """
    return {file: _short(_unicode(name)) for file, name in below_common(files).items()}


def below_common(files: Sequence[str]) -> dict[str, str]:
    """Each file's name below the deepest folder that holds all of them; no two are the same."""
    parts = {file: _parts(file) for file in files}
    levels = zip(*(of_file[:-1] for of_file in parts.values()), strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
    return {file: "/".join(of_file[common:]) for file, of_file in parts.items()}


def _parts(file: str) -> list[str]:
    where = absolute(file)
    where = where if "://" in where else os.path.normpath(where)
    return [part for part in where.split("/") if part]


def _unicode(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _short(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    if len(last.encode()) <= MOST_NAME_BYTES:
        return name
    digest = hashlib.sha256(last.encode()).hexdigest()[:16]
    cut = last.encode()[: MOST_NAME_BYTES - 17].decode(errors="ignore")
    return f"{folder}{slash}{cut}-{digest}"
