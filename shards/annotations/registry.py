"""The formats by name: one file each in `formats`, and one line each below."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from shards.annotations.event import (
    AnnotatedFile,
    AnnotationError,
    Columns,
    columns_of,
    valid_unicode,
)
from shards.annotations.format import Content, Format
from shards.annotations.formats import (
    AOEF,
    AUDACITY,
    BIRDNET,
    CSV,
    EAF,
    JAMS,
    JSON,
    JSONL,
    KALEIDOSCOPE,
    LABEL_STUDIO,
    PARQUET,
    RAVEN,
    RTTM,
    SVL,
    TEXTGRID,
    TEXTGRID_SHORT,
    TSV,
)

FORMATS: Mapping[str, Format] = {
    "tsv": TSV,
    "csv": CSV,
    "json": JSON,
    "jsonl": JSONL,
    "parquet": PARQUET,
    "audacity": AUDACITY,
    "raven": RAVEN,
    "textgrid": TEXTGRID,
    "textgrid-short": TEXTGRID_SHORT,
    "eaf": EAF,
    "svl": SVL,
    "rttm": RTTM,
    "jams": JAMS,
    "label-studio": LABEL_STUDIO,
    "aoef": AOEF,
    "birdnet": BIRDNET,
    "kaleidoscope": KALEIDOSCOPE,
}


# Files of other names may begin with a bracket and be no JSON.
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson", ".jams", ".aoef")


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        AnnotationError: there is none; it names the nearest.
    """
    if name not in FORMATS:
        nearest = get_close_matches(name, FORMATS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise AnnotationError(f"format {name!r}: expected one of {', '.join(FORMATS)}{hint}")
    return FORMATS[name]


def recognise(content: Content) -> str | None:
    """The name of the format that a file is in, by what it holds; None of any other file.

    Raises:
        AnnotationError: it is called JSON, begins like it and is broken.
    """
    if FORMATS["parquet"].recognises(content):
        return "parquet"
    try:
        content.text  # noqa: B018  (decodes)
    except AnnotationError:
        return None
    found = next((name for name, each in FORMATS.items() if each.recognises(content)), None)
    if found is not None or not content.path.lower().endswith(_JSON_SUFFIXES):
        return found
    if (fault := content.json_fault()) is not None:
        raise AnnotationError(
            f"{content.path}: broken JSON ({fault}): copy or export it again, or correct it"
        )
    return None


def read(content: Content, name: str | None = None) -> list[AnnotatedFile]:
    """What a file annotates, in the format of a name, or else in the one that it is recognised as.

    Raises:
        AnnotationError: it is in no format that is known, or cannot be read.
    """
    name = recognise(content) if name is None else name
    if name is None:
        raise AnnotationError(
            f"{content.path}: in no format that is known; expected one of {', '.join(FORMATS)}: "
            "convert it, or name its format"
        )
    return format_named(name).read(content)


def write(
    files: Sequence[AnnotatedFile] | Iterable[AnnotatedFile],
    text_format: Format,
    columns: Columns | None = None,
) -> Iterator[bytes]:
    """Files as pieces of one file of annotations.

    Args:
        files: what to write; taken one after another where `columns` are given.
        text_format: one of `FORMATS`.
        columns: those that their events fill; by default, what they fill in fact.

    Raises:
        AnnotationError: several files, in a format that tells of one.
    """
    if columns is None:
        files = list(files)
        columns = columns_of(files)
    files = (valid_unicode(file) for file in files)
    return text_format.write(
        _single(files, text_format) if text_format.one_file else files, columns
    )


def _single(files: Iterable[AnnotatedFile], text_format: Format) -> Iterator[AnnotatedFile]:
    for count, file in enumerate(files):
        if count:
            raise AnnotationError(
                f"got several files, and {text_format.title} tells of one: write a file for each"
            )
        yield file
