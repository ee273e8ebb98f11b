"""What all sources share: label tables, lists of audio files, and what a source returns."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any

from shards.audio.decoding import AUDIO_SUFFIXES
from shards.clip import Clip
from shards.errors import SourceError as SourceError
from shards.errors import told
from shards.io.store import Store
from shards.packing.plan import Skipped
from shards.tables.cells import event as event
from shards.tables.cells import in_time as in_time
from shards.tables.cells import integer as integer
from shards.tables.cells import split_labels as split_labels
from shards.tables.rows import Row as Row
from shards.tables.rows import json_rows
from shards.tables.rows import separated_rows as separated_rows
from shards.tables.wrong_rows import WrongRows

TABLE_SUFFIXES = (".tsv", ".csv", ".jsonl")
Options = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SourceListing:
    """The clips of a source, and what is not as its label tables say."""

    clips: tuple[Clip, ...]
    classes: tuple[str, ...] | None  # None = nothing is labelled
    keeps_classes: bool = False  # also those without a clip, where somebody gave the list
    missing: tuple[str, ...] = ()  # listed in a table, but there is no such audio
    extra: tuple[str, ...] = ()  # audio that no table lists: left out
    unlabelled: tuple[str, ...] = ()  # audio that should have labels and has none
    notes: tuple[str, ...] = ()  # counts and doubts, one line each
    unusable: tuple[Skipped, ...] = ()  # what stops packing, unless it is asked to leave it out


Source = Callable[[Store, Options], SourceListing]


def check_options(options: Options, known: Collection[str], source: str) -> None:
    """Refuse options that the source does not read."""
    for name in sorted(options.keys() - set(known)):
        nearest = get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        known_names = ", ".join(sorted(known)) or "none"
        raise SourceError(
            f"source {source}: unknown option {name!r}, expected one of: {known_names}{hint}"
        )


def classes_of(clips: Iterable[Clip]) -> tuple[str, ...] | None:
    """All labels of clips, sorted; None where nobody labelled any clip."""
    clips = list(clips)
    if all(clip.weak is None and clip.events is None for clip in clips):
        return None
    labels = {label for clip in clips for label in clip.weak or ()}
    labels |= {event.label for clip in clips for event in clip.events or ()}
    return tuple(sorted(labels))


def flag(options: Options, name: str) -> bool:
    """An option that is true or false; false where it is not given."""
    value = options.get(name, "false").lower()
    if value not in ("true", "false"):
        raise SourceError(f"option {name}: got {options[name]!r}; expected true or false")
    return value == "true"


def audio_names(store: Store) -> list[str]:
    """The audio files of a store, sorted, without hidden ones; none at all is an error."""
    names = [name for name in store.names() if is_audio(name) and not is_hidden(name)]
    if not names:
        raise SourceError(
            f"{store.root}: got no audio files ({', '.join(AUDIO_SUFFIXES)}); expected a folder "
            "of recordings: check the path"
        )
    return names


def is_audio(name: str) -> bool:
    """Whether the name ends like an audio file's."""
    return name.lower().endswith(AUDIO_SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether the file, or a folder that it is in, starts with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def stem(name: str) -> str:
    """The name without an audio suffix; other dots stay (`Yabc_460.000_470.000`)."""
    return str(PurePosixPath(name).with_suffix("")) if is_audio(name) else name


class SameStemError(SourceError):
    """Audio files that differ in their suffix alone, so that tables cannot tell them apart.

    Args:
        groups: the names of each stem that several have.
    """

    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        self.groups = groups
        super().__init__(
            f"{told([' and '.join(group) for group in groups])}: names that differ in their suffix "
            "alone; expected one recording of each name: rename them or move them elsewhere, or "
            "leave them out by --on-error skip where a command has it"
        )


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Audio names by their stem: tables often name `.wav` what is stored as `.flac`.

    Raises:
        SameStemError: stems that several names have, all of them.
    """
    found: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for name in names:
        key = stem(name)
        if (other := found.setdefault(key, name)) != name:
            groups.setdefault(key, [other]).append(name)
    if groups:
        raise SameStemError(list(groups.values()))
    return found


def read_text(store: Store, name: str) -> str:
    """A text file in UTF-8, with or without a byte order mark, or in UTF-16 with one."""
    data = store.read(name)
    is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{store.path(name)}: not UTF-8 ({error.reason} at byte {error.start}): convert it"
        ) from error


def read_table(
    store: Store, name: str, required: Sequence[str] = (), wrong: WrongRows | None = None
) -> list[Row]:
    """A TSV, CSV or JSONL table as rows of strings; empty and missing cells are ''.

    See `shards.tables.rows`: what is not plainly a table is refused, all bad rows at once; where
    `wrong` is given, it gets bad rows and the others come back.
    """
    text, path = read_text(store, name), store.path(name)
    if name.endswith(".jsonl"):
        return json_rows(text, path, required, wrong)
    usual = "\t" if name.endswith(".tsv") else ","
    return separated_rows(text, usual, path, required, wrong)


def read_yaml(store: Store, name: str) -> Any:
    """A YAML file's plain values; anything else in it is an error."""
    import yaml  # slow to load, and few datasets have any

    # the same safe loader, in C where libyaml is there: ten times as fast
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = read_text(store, name)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506
    except (yaml.YAMLError, ValueError) as error:  # the latter of dates that are none
        raise SourceError(
            f"{store.path(name)}: not plain YAML ({' '.join(str(error).split())}): restore or "
            "remove the file"
        ) from error


def share_note(present: int, published: int, what: str) -> str:
    """How much of a published set is there, in words."""
    share = f" ({100 * present / published:.1f} %)" if present < published else ""
    return f"{present} of {published} {what} present{share}"
