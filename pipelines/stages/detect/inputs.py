"""Audio files that a command is given: paths, folders and URLs."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from pyarrow.fs import FileType

from cluster.storage.filesystems import absolute
from pipelines.runtime.errors import MissingFileError, PipelineError
from pipelines.runtime.urls import join, store
from shards.sources._tables import audio_names

READ_AHEAD_BYTES = 1 << 20  # per request to an object store
OnError = Literal["fail", "skip"]


class InputError(PipelineError):
    """Nothing to work on; the message is one line."""


def audio_files(files: Sequence[str], on_error: OnError = "fail") -> list[str]:
    """Folders replaced by all audio in them, sorted; each file once, in the order given.

    Raises:
        InputError: nothing is given, or a path leads nowhere and `on_error` is not `skip`: then
            it stays in the list.
        SourceError: a folder without audio.
    """
    if not files:
        raise InputError("got no files; give audio files, folders or URLs")
    found: dict[str, str] = {}  # absolute: as it was given
    for file in files:
        is_folder = _is_folder(file)
        if is_folder is None and on_error == "fail":
            raise InputError(f"{file}: no such file or folder; check the path")
        names = [join(file, name) for name in audio_names(store(file))] if is_folder else [file]
        for name in names:
            found.setdefault(absolute(name), name)
    return list(found.values())


def _is_folder(file: str) -> bool | None:
    """None where there is neither a file nor a folder."""
    place = store(file)
    if place.is_local:  # not through pyarrow, which cannot name what is not UTF-8
        path = Path(place.root)
        return path.is_dir() if path.exists() else None
    kind = place.filesystem.get_file_info(place.root).type
    return None if kind == FileType.NotFound else bool(kind == FileType.Directory)


@contextlib.contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """A file for reading in any order, from the disk or piece by piece from an object store."""
    if _is_folder(file) is None:
        raise MissingFileError(f"{file}: no such file; check the path")
    place = store(file)
    with contextlib.ExitStack() as stack:
        if place.is_local:
            yield stack.enter_context(Path(place.root).open("rb"))
        else:
            source = stack.enter_context(place.filesystem.open_input_file(place.root))
            yield stack.enter_context(io.BufferedReader(source, READ_AHEAD_BYTES))
