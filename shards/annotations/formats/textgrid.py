"""Praat's TextGrid, long and short: tiers of intervals, and of points in time.

A reader of Praat's takes numbers, quoted texts and flags that stand free, and nothing else: so both
kinds are read in one way. See "TextGrid file formats" in Praat's manual. Events that overlap go to
several tiers. (The library praatio tells long from short by words that a label may hold.)
"""

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from shards.annotations.event import (
    AnnotatedFile,
    AnnotationError,
    Columns,
    SoundEvent,
    read_event,
)
from shards.annotations.format import Content, Format, number_text
from shards.annotations.tiers import TIER, tier_extra, tiers
from shards.errors import Faults

_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"'  # a text
    r"|!.*"  # a comment
    r"|(?<!\S)([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\S)"  # a number
    r"|\S+"  # a word, which tells a reader nothing
)
SHORTEST_S = 1e-6  # no TextGrid is of no length
Token = str | float
_Length = Literal["long", "short"]


def recognises(content: Content, length: _Length) -> bool:
    """By its first words; a short one does not name what is in it."""
    text = content.text[:400]
    if not text.lstrip().startswith(('File type = "ooTextFile', '"ooTextFile')):
        return False
    is_short = re.search(r"^\s*xmin\s*=", content.text[:4000], re.MULTILINE) is None
    return '"TextGrid"' in text and is_short == (length == "short")


def write(files: Iterable[AnnotatedFile], filled: Columns, length: _Length) -> Iterator[bytes]:
    """Interval tiers, with empty intervals between events; and a point tier for points."""
    for file in files:
        end_s = max(file.end_s(), SHORTEST_S, *(event.offset_s for event in file.events), 0)
        lanes: list[tuple[str, str, list[list[Token]]]] = []
        whole = [event for event in file.events if _length(event) > 0]
        for name, events in tiers(whole).items():
            lanes.append(("IntervalTier", name, list(_intervals(events, end_s))))
        points = [event for event in file.events if _length(event) == 0]
        for name, events in tiers(points).items():
            taken = {lane[1] for lane in lanes}
            while name in taken:
                base, _, number = name.rpartition(" ")
                name = f"{base} {int(number) + 1}" if base and number.isdecimal() else f"{name} 2"
            lanes.append(("TextTier", name, [[_s(e.onset_s), e.label] for e in events]))
        yield (_long(lanes, end_s) if length == "long" else _short(lanes, end_s)).encode()


def _s(seconds: float) -> float:
    return round(seconds, 6)


def _length(event: SoundEvent) -> float:
    return _s(event.offset_s) - _s(event.onset_s)


def _intervals(events: list[SoundEvent], end_s: float) -> Iterator[list[Token]]:
    now = 0.0
    for event in events:
        if _s(event.onset_s) > now:
            yield [now, _s(event.onset_s), ""]
        now = _s(event.offset_s)
        yield [_s(event.onset_s), now, event.label]
    if now < _s(end_s):
        yield [now, _s(end_s), ""]


def _text(token: Token) -> str:
    return '"' + token.replace('"', '""') + '"' if isinstance(token, str) else number_text(token)


def _short(lanes: list[tuple[str, str, list[list[Token]]]], end_s: float) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", _text(_s(end_s))]
    lines += ["<exists>", str(len(lanes))]
    for kind, name, entries in lanes:
        lines += [_text(kind), _text(name), "0", _text(_s(end_s)), str(len(entries))]
        lines += [_text(token) for entry in entries for token in entry]
    return "\n".join(lines) + "\n"


def _long(lanes: list[tuple[str, str, list[list[Token]]]], end_s: float) -> str:
    span = ["xmin = 0", f"xmax = {_text(_s(end_s))}"]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *span]
    lines += ["tiers? <exists>", f"size = {len(lanes)}", "item []:"]
    for count, (kind, name, entries) in enumerate(lanes, start=1):
        what = "intervals" if kind == "IntervalTier" else "points"
        names = ("xmin", "xmax", "text") if what == "intervals" else ("number", "mark")
        tier = [f"class = {_text(kind)}", f"name = {_text(name)}", *span]
        lines.append(f"    item [{count}]:")
        lines += [f"        {line}" for line in [*tier, f"{what}: size = {len(entries)}"]]
        for each, entry in enumerate(entries, start=1):
            lines.append(f"        {what} [{each}]:")
            cells = zip(names, entry, strict=True)
            lines += [f"            {key} = {_text(token)}" for key, token in cells]
    return "\n".join(lines) + "\n"


def read(content: Content) -> list[AnnotatedFile]:
    """Every interval and point that has a text, by time; its tier is kept as an extra column."""
    tokens = iter(_tokens(content.text))
    path = content.path

    def number() -> float:
        token = next(tokens, None)
        if not isinstance(token, float):
            raise AnnotationError(f"{path}: got {token!r} where TextGrid has a number; restore it")
        return token

    def text() -> str:
        token = next(tokens, None)
        if not isinstance(token, str):
            raise AnnotationError(f"{path}: got {token!r} where TextGrid has a text; restore it")
        return token

    def count() -> int:
        if not (whole := number()).is_integer() or whole < 0:
            raise AnnotationError(f"{path}: got {whole:g} where TextGrid has a count; restore it")
        return int(whole)

    text(), text(), number()
    end_s = number()
    events, faults = [], Faults(AnnotationError)
    for _ in range(count()):
        kind, name = text(), text()
        number(), number()
        if kind not in ("IntervalTier", "TextTier"):
            raise AnnotationError(
                f"{path}: got a tier of the class {kind!r}; expected IntervalTier or TextTier"
            )
        for _ in range(count()):
            onset_s = number()
            offset_s = number() if kind == "IntervalTier" else onset_s
            if label := text().strip():
                times = {"onset_s": onset_s, "offset_s": offset_s}
                with faults.noted():
                    where, extra = f"{path} tier {name!r}", tier_extra(name)
                    events.append(read_event(where, **times, label=label, extra=extra))
    faults.check()
    events.sort(key=lambda each: (each.onset_s, each.offset_s, each.label))
    return [AnnotatedFile(file=content.audio, events=tuple(events), duration_s=end_s)]


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        if match.group(1) is not None:
            yield match.group(1).replace('""', '"')
        elif match.group(2) is not None:
            yield float(match.group(2))


def _format(length: _Length) -> Format:
    return Format(
        title=f"Praat TextGrid ({length})",
        suffix=".TextGrid",
        recognises=functools.partial(recognises, length=length),
        read=read,
        write=functools.partial(write, length=length),
        holds_columns=frozenset({TIER}),
        names_files=False,
        one_file=True,
    )


TEXTGRID = _format("long")
TEXTGRID_SHORT = _format("short")
