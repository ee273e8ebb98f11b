"""convert: annotations from any format to any other, a file or a folder of them."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

import pyarrow.fs as pafs

from cluster.storage.urls import absolute
from pipelines.inference.annotation_files import chosen_formats, output_names
from pipelines.runtime.errors import MissingFileError, PipelineError
from pipelines.runtime.files.urls import is_folder, join, store
from shards.annotations.event import AnnotatedFile, AnnotationError
from shards.annotations.format import Format
from shards.annotations.loss import lost
from shards.annotations.registry import FORMATS, write
from shards.audio.decoding import AudioError, probe
from shards.errors import Faults, told
from shards.io.store import Store
from shards.sources._tables import is_audio, is_hidden
from shards.sources.own_folder.annotations import (
    NamedAfter,
    ReadFile,
    annotation_names,
    read_annotations,
)

log = logging.getLogger("pmam")


class ConvertError(PipelineError):
    """Annotations that cannot be converted as asked; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was converted.

    Args:
        read: files by the name of their format.
        recordings: that they tell of.
        events: in all.
        written: paths or URLs.
        unknown: files in no format that is known.
        unreadable: why files could not be read, a line for each fault.
    """

    read: Mapping[str, int]
    recordings: int
    events: int
    written: tuple[str, ...]
    unknown: tuple[str, ...]
    unreadable: tuple[str, ...]


class _Output(NamedTuple):
    url: str  # of its folder
    name: str
    files: list[AnnotatedFile]
    text_format: Format
    of: str  # what it is made from, for errors


def convert(
    source: str,
    out: str,
    formats: Sequence[str],
    *,
    audio: str | None = None,
    together: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Write annotations in other formats; what these cannot hold is told in the log.

    Recordings that lie beside their annotations are looked at for their length, which some formats
    hold. Nothing is written before everything was read.

    Args:
        source: a file, in any format of `shards.annotations`, or a folder of such files.
        out: a file, where one is written; else a folder, which gets a file for each that was read,
            under the same name; and for formats that tell of a single recording, one for each
            recording.
        formats: some of `FORMATS`.
        audio: the recording that the file is about, where its format does not say.
        together: one file for everything that was read.
        overwrite: replace files that are there.

    Raises:
        MissingFileError: no source.
        AnnotationError: a format that there is not, or a single file that cannot be read.
        FormatError, ConvertError: what is asked for does not fit, or is there already.
    """
    folder = is_folder(source)
    if folder is None:
        raise MissingFileError(f"{source}: no such file or folder; check the path")
    if folder and audio is not None:
        raise ConvertError(f"audio {audio}: names the recording of one file, and {source} has many")
    url, names, recordings = _listed(source, folder)
    place, named_after = store(url), NamedAfter(recordings if audio is None else [])
    read, faults = list[ReadFile](), Faults(AnnotationError)
    for name in names:
        with faults.noted():
            read.append(read_annotations(place, name, named_after))
    if not folder:
        faults.check()
    unreadable = [str(error) for error in faults.errors]
    unknown = [each.name for each in read if each.format is None]
    known = [each for each in read if each.format is not None]
    if not known:
        what = told([*unreadable, *unknown]) or "nothing with such a name"
        raise ConvertError(
            f"{source}: no annotations in a format that is known ({what}); expected one of "
            f"{', '.join(FORMATS)}"
        )
    if audio is not None:
        known = [_of_one(each, audio) for each in known]
    known = [_measured(each, place, recordings) for each in known]
    files = [file for each in known for file in each.files]
    chosen = chosen_formats(formats, len({file.file for file in files}), out, together)
    outputs = list(_outputs(known, out, chosen, together=together, one=not folder))
    _check(outputs, source, overwrite=overwrite)
    for each in chosen.values():
        for line in lost(files, each):
            log.warning("%s: left out", line)
    for output in outputs:
        data = b"".join(write(output.files, output.text_format))
        store(output.url).write(output.name, data)
    return Conversion(
        read=dict(sorted(Counter(str(each.format) for each in known).items())),
        recordings=len({file.file for file in files}),
        events=sum(len(file.events) for file in files),
        written=tuple(join(output.url, output.name) for output in outputs),
        unknown=tuple(unknown),
        unreadable=tuple(unreadable),
    )


def _listed(source: str, folder: bool) -> tuple[str, list[str], list[str]]:
    """The folder at hand, files of annotations in it, and recordings."""
    if folder:
        place = store(source)
        recordings = [name for name in place.names() if is_audio(name) and not is_hidden(name)]
        return absolute(source), annotation_names(place), recordings
    url, _, name = absolute(source).rpartition("/")
    url = url or "/"
    return url, [name], [name for name in _siblings(store(url)) if is_audio(name)]


def _siblings(place: Store) -> list[str]:
    if place.is_local:
        names = [path.name for path in Path(place.root).iterdir() if path.is_file()]
        return sorted(name for name in names if name.isprintable())
    infos = place.filesystem.get_file_info(pafs.FileSelector(place.root))
    return sorted(info.base_name for info in infos if info.type == pafs.FileType.File)


def _of_one(read: ReadFile, audio: str) -> ReadFile:
    assert read.format is not None
    if FORMATS[read.format].names_files and len(read.files) != 1:
        raise ConvertError(
            f"{read.name}: tells of {len(read.files)} recordings, and audio {audio} is one; leave "
            "it out"
        )
    return replace(read, files=tuple(replace(file, file=audio) for file in read.files))


def _measured(read: ReadFile, place: Store, recordings: Sequence[str]) -> ReadFile:
    """The same with lengths and rates of recordings that are there."""
    there = set(recordings)
    folder = PurePosixPath(read.name).parent

    def measured(file: AnnotatedFile) -> AnnotatedFile:
        name = next((n for n in (str(folder / file.file), file.file) if n in there), None)
        if name is None or (file.duration_s is not None and file.sample_rate_hz is not None):
            return file
        try:
            with place.open(name) as audio:
                info = probe(cast(BinaryIO, audio), name)
        except AudioError as error:
            log.warning("its length is not known: %s", error)
            return file
        rate = info.sample_rate_hz
        return replace(file, duration_s=info.num_samples / rate, sample_rate_hz=rate)

    return replace(read, files=tuple(map(measured, read.files)))


def _outputs(
    read: Sequence[ReadFile], out: str, formats: Mapping[str, Format], *, together: bool, one: bool
) -> Iterator[_Output]:
    recordings = [file for each in read for file in each.files]
    single = together or (one and (len(recordings) == 1 or not _any_single(formats)))
    if single and len(formats) == 1 and not is_folder(out) and not out.endswith("/"):
        (text_format,) = formats.values()
        url, _, name = absolute(out).rpartition("/")
        files = [file for each in read for file in (_below(each) if together else each.files)]
        yield _Output(url or "/", name, files, text_format, read[0].name)
        return
    url = absolute(out)
    for text_format in formats.values():
        if together:
            files = [file for each in read for file in _below(each)]
            yield _Output(url, "events" + text_format.suffix, files, text_format, read[0].name)
            continue
        for each in read:
            folder = PurePosixPath(each.name).parent
            if not text_format.one_file:
                name = str(folder / _without_suffix(each)) + text_format.suffix
                yield _Output(url, name, list(each.files), text_format, each.name)
                continue
            names = output_names([file.file for file in each.files])
            for file in each.files:
                name = str(folder / names[file.file]) + text_format.suffix
                yield _Output(url, name, [file], text_format, each.name)


def _any_single(formats: Mapping[str, Format]) -> bool:
    return any(each.one_file for each in formats.values())


def _below(read: ReadFile) -> Iterator[AnnotatedFile]:
    """Recordings by their names from the folder that is converted."""
    assert read.format is not None
    folder = PurePosixPath(read.name).parent
    for file in read.files:
        inside = FORMATS[read.format].names_files and "://" not in file.file
        yield replace(file, file=str(folder / file.file)) if inside else file


def _without_suffix(read: ReadFile) -> str:
    assert read.format is not None
    name, suffix = PurePosixPath(read.name).name, FORMATS[read.format].suffix
    if name.lower().endswith(suffix.lower()) and len(name) > len(suffix):
        return name[: -len(suffix)]
    return PurePosixPath(name).stem


def _check(outputs: Iterable[_Output], source: str, *, overwrite: bool) -> None:
    """Refuse to write two files of one name, over a source, or over anything unasked."""
    seen: dict[str, str] = {}
    there = []
    for output in outputs:
        path = join(output.url, output.name)
        if path in seen:
            raise ConvertError(
                f"{seen[path]} and {output.of}: both would become {path}; rename one, or write all "
                "of them together"
            )
        seen[path] = output.of
        if path == absolute(source):
            raise ConvertError(f"{path}: would replace what is converted; give another OUT")
        if not overwrite and store(output.url).size(output.name) is not None:
            there.append(path)
    if there:
        raise ConvertError(
            f"{told(there)}: there already; give another OUT, or --overwrite to replace"
        )
