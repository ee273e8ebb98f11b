"""What a format is: how it is recognised, read and written, and what it can hold."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shards.annotations.event import AnnotatedFile, AnnotationError, Columns


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file of annotations holds.

    Args:
        data: its bytes.
        path: what errors call it.
        audio: the audio file that it belongs to, for formats that do not name one.
    """

    data: bytes
    path: str
    audio: str

    @functools.cached_property
    def text(self) -> str:
        """As UTF-8, or as UTF-16 where it begins with that byte order mark.

        Raises:
            AnnotationError: it is neither.
        """
        utf16 = self.data[:2] in (b"\xff\xfe", b"\xfe\xff")
        try:
            return self.data.decode("utf-16" if utf16 else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise AnnotationError(
                f"{self.path}: not UTF-8 ({error.reason} at byte {error.start}): convert it"
            ) from error

    @functools.cached_property
    def first_line(self) -> str:
        """Without its end."""
        return re.split(r"[\r\n]", self.text.lstrip("\r\n"), maxsplit=1)[0]

    @functools.cached_property
    def json(self) -> Any:
        """The values of a JSON text; None where it is none.

        Raises:
            AnnotationError: an object has a key twice.
        """
        if self.text.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return values_of(self.text, self.path)
        except AnnotationError:
            raise
        except (ValueError, RecursionError):
            return None

    def json_fault(self) -> str | None:
        """Where a JSON text breaks off or is none; None of what is JSON, or begins like no JSON.

        A text whose every line is JSON is none that is broken.
        """
        if self.text.lstrip()[:1] not in ("{", "["):
            return None
        lines = [(n, each) for n, each in enumerate(self.text.split("\n"), 1) if each.strip()]
        by_line = (_json_fault(each, self.path, number) for number, each in lines)
        first = next(filter(None, by_line), None)
        is_lines = self.path.lower().endswith((".jsonl", ".ndjson"))
        return first if is_lines or first is None else _json_fault(self.text, self.path)


def _json_fault(text: str, where: str, first_line: int = 1) -> str | None:
    """What is wrong with a JSON text that begins in a line of a file."""
    try:
        values_of(text, where)
    except AnnotationError:
        return None  # told by who reads it
    except json.JSONDecodeError as error:
        return f"line {first_line + error.lineno - 1} column {error.colno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def values_of(text: str, where: str) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: it is none.
        AnnotationError: an object has a key twice; it begins with `where`.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise AnnotationError(
                f"{where}: got the key {twice!r} twice in one object; expected it once: remove one"
            )
        return found

    return json.loads(text, object_pairs_hook=once)


@dataclass(frozen=True, kw_only=True)
class Format:
    """How events are read and written.

    Args:
        title: what the format is called.
        suffix: of a file that is written in it.
        recognises: whether a file that is text, or of another kind, is in it.
        read: a file's content to what it annotates.
        write: files, and the columns that their events fill, to pieces of one file; where the
            format allows it, an audio file's piece comes before the next audio file is asked for.
        holds: the fields of `OPTIONAL_FIELDS` that it can hold.
        holds_extra: whether it can hold columns that have no name here.
        holds_columns: which of them it can hold, where it cannot hold all.
        names_files: whether it tells which audio file an event is in.
        one_file: whether it can only tell of a single audio file.
        resolution_s: to how many seconds times are rounded.
        changes_text: characters of a label that it writes as others (a regular expression).
        holds_points: whether an event can begin and end at the same time.
    """

    title: str
    suffix: str
    recognises: Callable[[Content], bool]
    read: Callable[[Content], list[AnnotatedFile]]
    write: Callable[[Iterable[AnnotatedFile], Columns], Iterator[bytes]]
    holds: frozenset[str] = frozenset()
    holds_extra: bool = False
    holds_columns: frozenset[str] = frozenset()
    names_files: bool = True
    one_file: bool = False
    resolution_s: float = 1e-6
    changes_text: str | None = None
    holds_points: bool = True


def time_text(seconds: float) -> str:
    """Seconds to the microsecond."""
    return f"{seconds:.6f}"


def number_text(number: float) -> str:
    """A number that is no time, to twelve digits."""
    return f"{number:.12g}"
