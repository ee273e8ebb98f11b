"""A clip as a source describes it, and the key that it gets in a tar."""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from shards.errors import Faults, ShardsError

MAX_KEY_LENGTH = 80  # with an extension it stays inside the 100 bytes of a tar header
HASH_DIGITS = 32  # 128 bits: no two of 10^15 ids meet
MAX_FOLD = 2**31 - 1  # the index holds 32 bits
# Subsets that training may learn from.
TRAINING_SUBSETS = ("strong", "synthetic", "weak", "unlabeled")
LATE_OFFSET_S = 0.5  # DESED's validation labels end up to 0.12 s after their clips

# What programs write or read as a missing value: no class had such a name in what they wrote.
EMPTY = frozenset(
    {
        *("", "nan", "NaN", "-nan", "-NaN", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A"),
        *("null", "NULL", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    }
)

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


class ClipError(ShardsError, ValueError):
    """A clip whose labels or id cannot be used; the message is one line and names the id."""


@dataclass(frozen=True)
class Event:
    """One labelled sound: seconds from the start of the clip."""

    onset_s: float
    offset_s: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One recording of a source with what is known about it.

    `weak` and `events` are None where nobody labelled, and empty where somebody found nothing.
    """

    source_id: str
    audio: str  # its name in the source's store
    subset: str
    recording: str | None = None  # what it was cut from, for leakage checks; None = unknown
    fold: int | None = None
    weak: tuple[str, ...] | None = None
    events: tuple[Event, ...] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    channel: int | None = None  # the only one that is meant, from 0 on; None = all

    @property
    def key(self) -> str:
        """Its name in a tar."""
        return escape_key(self.source_id)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; a channel only where one is meant."""
        values = asdict(self)
        if self.channel is None:
            del values["channel"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Clip":
        """The clip that `to_dict` described."""
        return cls(
            **{
                **values,
                "weak": None if values["weak"] is None else tuple(values["weak"]),
                "events": events_from_dicts(values["events"]),
            }
        )


def events_from_dicts(values: list[dict[str, Any]] | None) -> tuple[Event, ...] | None:
    """Events out of JSON or Arrow values."""
    return None if values is None else tuple(Event(**value) for value in values)


def nfc(text: str) -> str:
    """A text in the Unicode spelling in which labels and names are compared, NFC."""
    return unicodedata.normalize("NFC", text)


def is_empty(cell: str) -> bool:
    """Whether a cell or a label holds nothing, in any of the spellings of programs."""
    return cell in EMPTY


def escape_key(source_id: str) -> str:
    """The id as a tar and WebDataset key: letters, digits, `_`, `-` and `=` alone.

    Any other character becomes `=` and two hexadecimal digits per UTF-8 byte, as does a first
    `-`, which commands take for an option. WebDataset cuts a name at its first dot, so
    `Yabc_460.000_470.000` must not keep its own. An id whose key would be longer than
    `MAX_KEY_LENGTH` is cut and ends in `==` and a hash of the whole id; no other key holds
    `==`. So two ids never share a key.
    """
    if not source_id:
        raise ClipError("got a clip with an empty id; expected one character or more")
    key = _UNSAFE.sub(lambda found: _hex(found.group()), source_id)
    if key.startswith("-"):
        key = _hex("-") + key[1:]
    if len(key) <= MAX_KEY_LENGTH:
        return key
    digest = hashlib.sha256(_utf8(source_id)).hexdigest()[:HASH_DIGITS]
    return f"{key[: MAX_KEY_LENGTH - HASH_DIGITS - 2]}=={digest}"


def check_clip(clip: Clip, duration_s: float, classes: Container[str] | None = None) -> Clip:
    """The clip, ready to be packed: its labels checked against its length and the class list.

    Labels are brought to NFC, so that one word is one class whoever typed it. An offset up to
    `LATE_OFFSET_S` after the end is moved to the end, which is how rounding and re-encoding show in
    published tables. Anything else is a `ClipError`: an onset at or after
    its offset or the clip's end, a time that is negative or not finite, a label that is empty
    (see `is_empty`) or not among `classes`, metadata that JSON cannot hold.
    """
    clip = _with_nfc_labels(clip)
    labels = [*(clip.weak or ()), *(event.label for event in clip.events or ())]
    try:
        json.dumps(
            {**clip.to_dict(), "events": labels}, allow_nan=False, ensure_ascii=False
        ).encode()
    except (TypeError, ValueError) as error:
        raise ClipError(
            f"{clip.source_id!r}: cannot be stored as JSON ({error}); expected UTF-8 text and "
            "plain, finite values in meta: correct the source"
        ) from error
    if not clip.subset:
        raise ClipError(f"{clip.source_id}: got no subset; expected a name such as 'weak'")
    if clip.fold is not None and not -MAX_FOLD <= clip.fold <= MAX_FOLD:
        raise ClipError(f"{clip.source_id}: got the fold {clip.fold}; expected a small number")
    faults = Faults(ClipError)
    for label in dict.fromkeys(labels):
        if is_empty(label) or (classes is not None and label not in classes):
            faults.errors.append(
                ClipError(
                    f"{clip.source_id}: got the label {label!r}; expected one of the class list: "
                    "correct the label table or add the class"
                )
            )
    events = list[Event]()
    for event in clip.events or ():
        with faults.noted():
            events.append(_checked_event(event, clip.source_id, duration_s))
    faults.check()
    return clip if clip.events is None else replace(clip, events=tuple(events))


def _with_nfc_labels(clip: Clip) -> Clip:
    weak, events = clip.weak, clip.events
    if weak is not None:
        weak = tuple(dict.fromkeys(map(nfc, weak)))
    if events is not None:
        events = tuple(replace(event, label=nfc(event.label)) for event in events)
    return replace(clip, weak=weak, events=events)


def _checked_event(event: Event, source_id: str, duration_s: float) -> Event:
    what = f"{source_id}: event {event.label!r} from {event.onset_s} s to {event.offset_s} s"
    if not (math.isfinite(event.onset_s) and math.isfinite(event.offset_s)):
        raise ClipError(f"{what}: expected finite times: correct the label table")
    if event.onset_s < 0:
        raise ClipError(f"{what}: expected an onset of 0 s or later: correct the label table")
    if event.onset_s >= event.offset_s:
        raise ClipError(f"{what}: expected the onset before the offset: correct the label table")
    if event.onset_s >= duration_s or event.offset_s > duration_s + LATE_OFFSET_S:
        raise ClipError(
            f"{what}: the clip ends at {duration_s:.3f} s; expected an event inside it: correct "
            "the label table, or restore the whole recording"
        )
    return replace(event, offset_s=min(event.offset_s, duration_s))


def _hex(text: str) -> str:
    return "".join(f"={byte:02x}" for byte in _utf8(text))


def _utf8(text: str) -> bytes:
    # file names that are no UTF-8 reach Python as lone surrogates; they keep distinct keys
    return text.encode("utf-8", "surrogatepass")
