"""Labelled recordings shared out among training, validation and test: seeded, class by class."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from shards.clip import Clip, Event
from shards.sources._tables import Options, SourceError, by_stem

SHARES: Mapping[str, float] = {"validation": 0.2, "test": 0.2}  # the rest is for training
SPLIT_OPTIONS = ("seed", *SHARES)


def split_clips(
    audio: Sequence[str], events: Mapping[str, tuple[Event, ...]], options: Options
) -> tuple[list[Clip], list[str]]:
    """Annotated recordings as clips of training, validation and test; the others unlabelled.

    Args:
        audio: recordings.
        events: of those that are annotated.
        options: `seed`, and the shares of `validation` and `test`.

    Returns:
        The clips, and what is told of the split.

    Raises:
        SourceError: an option that is no such number.
    """
    seed, shares = split_options(options)
    marked = {file: {event.label for event in events[file]} for file in audio if file in events}
    given = split(marked, seed, shares)
    clips = [
        Clip(
            source_id=source_id,
            audio=file,
            subset=given.get(file, "unlabeled"),
            events=events.get(file),
        )
        for source_id, file in by_stem(audio).items()
    ]
    if not given:
        return clips, []
    counts = Counter(given.values())
    told = ", ".join(f"{counts[each]} {each}" for each in ("strong", *shares))
    return clips, [
        f"labelled recordings are split by seed {seed}, each whole in one subset: {told} "
        f"(another split: --options seed {seed + 1}, in a run --pack.options)"
    ]


def split_options(options: Options) -> tuple[int, dict[str, float]]:
    """The seed, and the shares of validation and test.

    Raises:
        SourceError: an option that is no such number.
    """
    try:
        seed = int(options.get("seed", "0"))
        shares = {name: float(options.get(name, str(SHARES[name]))) for name in SHARES}
    except ValueError as error:
        raise SourceError(f"source folder: {error}; expected numbers such as 0.2") from error
    if min(shares.values()) < 0 or not sum(shares.values()) < 1:
        raise SourceError(
            f"source folder: got the shares validation {shares['validation']:g} and test "
            f"{shares['test']:g}; expected numbers from 0 on that leave some for training"
        )
    return seed, shares


def split(
    labels: Mapping[str, Collection[str]], seed: int, shares: Mapping[str, float]
) -> dict[str, str]:
    """A subset for each recording: "strong" or one of `shares`.

    The rarest label that is left is dealt first, to the subset that lacks it most, as in Sechidis,
    Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (2011), except that
    recordings come in the order of a seeded hash. Where there are as many recordings as subsets,
    none of these stays empty.

    Args:
        labels: the classes heard in each recording, by its name.
        seed: of the order.
        shares: of the recordings, by subset; the rest is for training.
    """
    order = sorted(labels, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    subsets = {"strong": 1 - sum(shares.values())} | {n: s for n, s in shares.items() if s > 0}
    kinds = {name: set(labels[name]) or {""} for name in order}  # "": without any event
    totals = Counter(label for each in kinds.values() for label in each)
    lacking = {
        (s, label): share * totals[label] for s, share in subsets.items() for label in totals
    }
    room = {subset: share * len(order) for subset, share in subsets.items()}
    given: dict[str, str] = {}
    left = dict.fromkeys(order)
    while left:
        counts = Counter(label for name in left for label in kinds[name])
        rarest = min(counts, key=lambda label: (counts[label], label))
        for name in [name for name in left if rarest in kinds[name]]:
            open_ones = [each for each in subsets if room[each] > 0] or list(subsets)
            subset = max(open_ones, key=lambda each: (lacking[each, rarest], room[each]))
            given[name] = subset
            room[subset] -= 1
            for label in kinds[name]:
                lacking[subset, label] -= 1
            del left[name]
    _none_empty(given, order, list(subsets))
    return given


def _none_empty(given: dict[str, str], order: list[str], subsets: list[str]) -> None:
    """Fill empty subsets from the largest one."""
    if len(order) < len(subsets):
        return
    for empty in subsets:
        counts = Counter(given.values())
        if not counts[empty]:
            largest = max(subsets, key=lambda each: counts[each])
            given[next(name for name in order if given[name] == largest)] = empty
