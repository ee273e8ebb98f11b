"""Detected events as files of annotations: one for all recordings, or one for each."""

from collections.abc import Iterable, Iterator
from typing import TextIO

from pipelines.stages.detect.results import SCORED, FileEvents
from shards.annotations.event import Columns
from shards.annotations.format import Format
from shards.annotations.registry import write

TOGETHER = "events"  # the name, without suffix, of one file for all recordings


def pieces(
    results: Iterable[FileEvents], text_format: Format, columns: Columns = SCORED
) -> Iterator[bytes]:
    """The events of files as one file of annotations, each as soon as it comes."""
    return write((found.annotated() for found in results), text_format, columns)


def write_together(
    results: Iterable[FileEvents], text_format: Format, out: TextIO, columns: Columns = SCORED
) -> list[str]:
    """One file of all recordings, each as soon as it comes; returns the errors among them."""
    errors: list[str] = []
    binary = getattr(out, "buffer", None)
    for piece in pieces(good(results, errors), text_format, columns):
        if binary is not None:
            out.flush()
            binary.write(piece)
            binary.flush()
        else:
            out.write(piece.decode())
            out.flush()
    return errors


def good(results: Iterable[FileEvents], errors: list[str]) -> Iterator[FileEvents]:
    """The results that are none but errors; these are added to the list."""
    for found in results:
        if found.error is None:
            yield found
        else:
            errors.append(found.error)
