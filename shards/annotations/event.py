"""What every annotation format is read to and written from: files, and the events in them."""

import contextlib
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from shards.clip import is_empty
from shards.errors import Faults, ShardsError
from shards.tables.cells import is_list

T = TypeVar("T")

SPACES = "\t\n\r"  # control characters that stand for a space; formats that lack them write one
# What an event may have beside its times and its label, in the order of a table's columns.
OPTIONAL_FIELDS = ("score", "low_hz", "high_hz", "channel", "annotator", "notes")


class AnnotationError(ShardsError, ValueError):
    """Annotations that cannot be read or written; the message is one line and names the file."""


@dataclass(frozen=True, kw_only=True)
class SoundEvent:
    """One annotated sound.

    Args:
        onset_s: where it begins, in seconds from the start of its file.
        offset_s: where it ends, in seconds; the onset itself for a point in time.
        label: its class.
        score: how sure whoever found it was, as the format gives it; most often in [0, 1].
        low_hz: its lowest frequency in hertz.
        high_hz: its highest frequency in hertz.
        channel: the channel that it was heard on, counted from 1.
        annotator: who found it.
        notes: free text.
        extra: columns that have no place above, by name.

    Raises:
        AnnotationError: times that are not finite, negative or in the wrong order.
    """

    onset_s: float
    offset_s: float
    label: str
    score: float | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    channel: int | None = None
    annotator: str | None = None
    notes: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        times = f"the event {self.label!r} from {self.onset_s} s to {self.offset_s} s"
        if not (math.isfinite(self.onset_s) and math.isfinite(self.offset_s)):
            raise AnnotationError(f"{times}: expected finite times: correct the annotation")
        if self.onset_s < 0:
            raise AnnotationError(f"{times}: expected no negative times: correct the annotation")
        if self.onset_s > self.offset_s:
            raise AnnotationError(f"{times}: expected the onset first: correct the annotation")


def read_event(
    where: str, *, onset_s: float, offset_s: float, label: object, **others: Any
) -> SoundEvent:
    """An event as a reader of any format found it.

    Args:
        where: what errors call its place.
        onset_s, offset_s: in seconds.
        label: its class; spaces around it do not count.
        others: further fields of `SoundEvent`.

    Raises:
        AnnotationError: times that are none, or a label that is no text, what programs write for
            a missing value, a list such as `['Dog']`, or has control characters; it begins with
            `where`.
    """
    if not isinstance(label, str) or is_empty(label.strip()) or is_list(label.strip()):
        raise AnnotationError(
            f"{where}: got the label {label!r} from {onset_s} s to {offset_s} s; expected the name "
            "of a class: correct the annotation, or take it out where there is no event"
        )
    odd = next(
        (c for c in label.strip() if unicodedata.category(c) == "Cc" and c not in SPACES), None
    )
    if odd is not None:
        raise AnnotationError(
            f"{where}: got the control character U+{ord(odd):04X} in the label {label[:60]!r}; "
            "expected plain text in UTF-8: correct the annotation"
        )
    try:
        return SoundEvent(onset_s=onset_s, offset_s=offset_s, label=label.strip(), **others)
    except AnnotationError as error:
        raise AnnotationError(f"{where}: {error}") from error


@contextlib.contextmanager
def readable(where: str, kind: str) -> Iterator[None]:
    """Values of JSON that are not as a format has them, inside the block, as an `AnnotationError`.

    Args:
        where: what errors call the place.
        kind: what is expected there.
    """
    try:
        yield
    except AnnotationError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise AnnotationError(f"{where}: no readable {kind} ({error!r}): restore it") from error


@dataclass(frozen=True, kw_only=True)
class AnnotatedFile:
    """One audio file that somebody went through; `events` is empty where nothing was found.

    Args:
        file: its name, as the annotations call it.
        events: in the order of the annotations.
        duration_s: its length in seconds, where that is known.
        sample_rate_hz: its sample rate, where that is known.
    """

    file: str
    events: tuple[SoundEvent, ...] = ()
    duration_s: float | None = None
    sample_rate_hz: int | None = None

    def end_s(self) -> float:
        """Its length; where that is not known, the end of its last event."""
        if self.duration_s is not None:
            return self.duration_s
        return max((event.offset_s for event in self.events), default=0.0)


class Columns(NamedTuple):
    """What the events of a table have: fields of `OPTIONAL_FIELDS`, and columns of `extra`."""

    fields: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def columns_of(files: Iterable[AnnotatedFile]) -> Columns:
    """The columns that at least one event fills."""
    fields: dict[str, None] = {}
    extra: dict[str, None] = {}
    for file in files:
        for event in file.events:
            fields.update(
                (name, None) for name in OPTIONAL_FIELDS if getattr(event, name) is not None
            )
            extra.update(dict.fromkeys(event.extra))
    return Columns(tuple(name for name in OPTIONAL_FIELDS if name in fields), tuple(extra))


def event_table(files: Sequence[AnnotatedFile]) -> pa.Table:
    """One table, a row an event; a file without events is a row without onset, offset and label.

    Columns that some event fills, beside `file, onset_s, offset_s, label`; extra ones are text.
    """
    columns = columns_of(files)
    types = {"channel": pa.int64(), "annotator": pa.string(), "notes": pa.string()}
    schema = [("file", pa.string()), ("onset_s", pa.float64()), ("offset_s", pa.float64())]
    schema += [("label", pa.string())]
    schema += [(name, types.get(name, pa.float64())) for name in columns.fields]
    schema += [(name, pa.string()) for name in columns.extra]
    return pa.Table.from_pylist([row for file in files for row in _rows(file)], pa.schema(schema))


def _rows(file: AnnotatedFile) -> list[dict[str, Any]]:
    if not file.events:
        return [{"file": file.file}]
    return [
        {"file": file.file, "onset_s": event.onset_s, "offset_s": event.offset_s}
        | {"label": event.label}
        | {name: getattr(event, name) for name in OPTIONAL_FIELDS}
        | dict(event.extra)
        for event in file.events
    ]


Pair = tuple[str, SoundEvent | None] | None


def grouped(rows: Iterable[T], pair: Callable[[T], Pair]) -> list[AnnotatedFile]:
    """Rows of a table as files, each in the order in which it first comes.

    Args:
        rows: of a table, in any form.
        pair: gives of a row its file and its event, None for no event; None of a row that tells
            of no file.

    Raises:
        AnnotationError: rows that are wrong, all of them in one message.
    """
    events: dict[str, list[SoundEvent]] = {}
    faults = Faults(AnnotationError)
    with faults.noted():  # the table itself may break off
        for row in rows:
            with faults.noted():
                if (found := pair(row)) is None:
                    continue
                of_file = events.setdefault(found[0], [])
                if found[1] is not None:
                    of_file.append(found[1])
    faults.check()
    return [AnnotatedFile(file=name, events=tuple(found)) for name, found in events.items()]


def valid_unicode(file: AnnotatedFile) -> AnnotatedFile:
    """The same with bytes of names that are not UTF-8 as backslash escapes (`\\udce9`)."""
    events = tuple(
        event if event.label.isascii() else replace(event, label=_escaped(event.label))
        for event in file.events
    )
    return replace(file, file=_escaped(file.file), events=events)


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
