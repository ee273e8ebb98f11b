"""Audio that a command is given: files, folders, patterns, URLs, lists of them, packed datasets."""

import contextlib
import functools
import glob
import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from cluster.storage.download import fetch
from cluster.storage.http import NoRangesError
from cluster.storage.urls import absolute
from pipelines.runtime.errors import MissingFileError, PipelineError
from pipelines.runtime.files.urls import is_folder, join, open_dataset, store
from shards.dataset import Dataset
from shards.errors import Faults, SourceError
from shards.io import retry
from shards.io.atomic import give_name
from shards.io.store import Store
from shards.manifest import MANIFEST
from shards.sources._tables import audio_names, is_audio, is_hidden
from shards.sources._unread import dangling_links, unread_notes

READ_AHEAD_BYTES = 1 << 20  # per request to an object store
OnError = Literal["fail", "skip"]
_PATTERN = re.compile(r"[*?[]")


class InputError(PipelineError):
    """Nothing to work on; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class AudioInput:
    """One recording.

    Args:
        name: what results call it.
        url: where its bytes are: a file, or a packed dataset.
        key: of the clip, in a packed dataset.
    """

    name: str
    url: str
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Recordings, each once, in the order given; and whether some of them were not named singly.

    The notes tell of files beside them that are of no kind that is read.
    """

    audio: tuple[AudioInput, ...]
    found: bool
    notes: tuple[str, ...] = ()


def audio_inputs(
    files: Sequence[str], on_error: OnError | None = None, file_list: str | None = None
) -> Inputs:
    """All recordings that files, folders, patterns, prefixes, datasets and a list name.

    Args:
        files: paths or URLs. Folders hold all audio below them, sorted; a pattern is one with
            `*`, `[` or, in local paths, `?`, where `**` also crosses folders; what is neither file
            nor folder in an object store is taken as the beginning of names; a folder with a
            dataset's manifest holds that dataset's clips.
        on_error: `skip` leaves paths that lead nowhere in the list, and all but `fail` names in
            folders that are not UTF-8.
        file_list: a text with a path or URL a line.

    Raises:
        InputError: nothing is given, or leads nowhere.
        SourceError: a folder without audio.
    """
    named: list[tuple[str, OnError | None]] = [(file, on_error) for file in files]
    if file_list is not None:  # of many, one that is not there should not cost the others
        named += [(file, on_error or "skip") for file in _lines(file_list)]
    if not named:
        raise InputError("got no files; give audio files, folders or URLs")
    found: dict[str, AudioInput] = {}  # by what it is, so that nothing comes twice
    single, notes = True, dict[str, None]()
    faults = Faults(InputError, SourceError)
    for file, at_error in named:
        expanded: list[AudioInput] = []
        with faults.noted():
            expanded = _expanded(file, at_error, notes)
        single = single and expanded == [AudioInput(name=file, url=file)]
        for each in expanded:
            found.setdefault(f"{absolute(each.url)}\0{each.key or ''}", each)
    faults.check()
    return Inputs(
        audio=tuple(found.values()),
        found=not single or file_list is not None,
        notes=tuple(notes),
    )


def _lines(file_list: str) -> list[str]:
    parent, _, name = absolute(file_list).rpartition("/")
    folder = store(parent or "/")
    if folder.size(name) is None:
        raise MissingFileError(f"{file_list}: no such list; check the path")
    try:
        text = folder.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file_list}: not UTF-8; expected a path or URL a line") from error
    return [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]


def _expanded(file: str, on_error: OnError | None, notes: dict[str, None]) -> list[AudioInput]:
    try:
        at_folder = is_folder(file)
    except NoRangesError:
        at_folder = False  # a file behind http, which is read whole
    if at_folder:
        if store(file).size(MANIFEST) is not None:
            return [
                AudioInput(name=join(file, row.source_id), url=file, key=row.key)
                for row in open_dataset(file).rows
            ]
        return [_file(name) for name in _audio_below(file, on_error, notes)]
    if at_folder is not None:
        return [_file(file)]
    if names := _matching(file, notes):
        return [_file(name) for name in names]
    if on_error == "skip" and not _PATTERN.search(file):
        return [_file(file)]
    what = "no audio fits this pattern" if _PATTERN.search(file) else "no such file or folder"
    raise InputError(f"{file}: {what}; check the path")


def _file(name: str) -> AudioInput:
    return AudioInput(name=name, url=name)


def _matching(file: str, notes: dict[str, None]) -> list[str]:
    """The audio that a pattern fits, or whose name a remote prefix begins; sorted.

    Of what fits and is no audio, the notes tell.
    """
    place = store(file)
    if place.is_local:
        if not _PATTERN.search(file):
            return []
        fitting = glob.glob(str(Path(file).expanduser()), recursive=True)  # noqa: PTH207  (names as given)
        found = [name for name in fitting if not Path(name).is_dir()]
        notes.update(
            {f"{file}: {note}": None for note in unread_notes(Path(n).name for n in found)}
        )
        return sorted(name for name in found if is_audio(name))
    if "://" in file and file.split("://")[0] in ("http", "https"):
        return []  # a server does not tell what it has
    first = _PATTERN.search(file)
    folder = file[: first.start() if first else len(file)].rpartition("/")[0]
    if folder.endswith(("/", ":")):
        return []
    rest = file[len(folder) + 1 :]
    fits = re.compile(_as_regex(rest) if first else re.escape(rest) + ".*", re.DOTALL)
    found = [name for name in store(folder).names() if fits.fullmatch(name)]
    notes.update({f"{file}: {note}": None for note in unread_notes(found)})
    return [join(folder, name) for name in found if is_audio(name) and not is_hidden(name)]


def _as_regex(pattern: str) -> str:
    """A pattern of the shell, where `**` also crosses folders."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        known.get(part)
        or (part.replace("[!", "[^") if part[:1] == "[" and part[-1] == "]" else re.escape(part))
        for part in parts
        if part
    )


def _audio_below(folder: str, on_error: OnError | None, notes: dict[str, None]) -> list[str]:
    """All audio of a folder, and links that lead nowhere, which will not open.

    But with `fail` also names that are not UTF-8, which will not open either.
    """
    place, odd = store(folder), list[str]()
    if on_error != "fail":
        place, odd = place.without_odd_names()
    links = [name for name, _ in dangling_links(place)]
    notes.update({f"{folder}: {note}": None for note in unread_notes(place.names())})
    found = audio_names(place) if not links else filter(is_audio, place.names())
    names = [name for name in found if not is_hidden(name)]
    return [join(folder, name) for name in [*names, *filter(is_audio, odd), *links]]


def _absent(place: Store) -> str:
    """Why there is nothing to open."""
    if place.is_local and Path(place.root).is_symlink():
        target = os.fsencode(os.readlink(place.root)).decode(errors="backslashreplace")  # noqa: PTH115
        return f"a link that leads nowhere (to {target}); restore what it names"
    return "no such file; check the path"


def _copied(url: str, stack: contextlib.ExitStack) -> Path:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pmam-"))
    return fetch(url, waits=retry.waits, give_name=give_name, folder=Path(folder))


@functools.lru_cache(maxsize=2)
def _dataset(url: str) -> Dataset:
    return open_dataset(url)


@contextlib.contextmanager
def opened(audio: AudioInput) -> Iterator[BinaryIO]:
    """A recording for reading in any order, from the disk or piece by piece from elsewhere.

    What a server of http does not give in pieces is copied whole to a temporary file first.
    """
    if audio.key is not None:
        dataset = _dataset(absolute(audio.url))
        with dataset.open_audio(dataset.rows_of([audio.key])[0]) as clip:
            yield cast(BinaryIO, clip)
        return
    place = store(audio.url)
    with contextlib.ExitStack() as stack:
        try:
            kind = is_folder(audio.url)
        except NoRangesError:
            yield stack.enter_context(_copied(audio.url, stack).open("rb"))
            return
        if kind is None:
            raise MissingFileError(f"{audio.url}: {_absent(place)}")
        if place.is_local:
            yield stack.enter_context(Path(place.root).open("rb"))
        else:
            source = stack.enter_context(place.filesystem.open_input_file(place.root))
            yield stack.enter_context(io.BufferedReader(source, READ_AHEAD_BYTES))
