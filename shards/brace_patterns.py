"""Lists of shards in one word, as WebDataset users write them: `train-{000..120}.tar`."""

import re
from collections.abc import Iterator
from itertools import pairwise

from shards.errors import ShardsError

MAX_URLS = 1_000_000
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")


class ShardUrlError(ShardsError, ValueError):
    """A list of shards that cannot be understood; the message is one line."""


def expand_braces(text: str) -> list[str]:
    """`{a,b}` and `{000..120}` in a text as all texts that they stand for, in their order.

    As shells and WebDataset's `braceexpand` read them: a zero in front of either end of a range
    fills all its numbers to the same width; a range may run down; braces nest. A text that would
    be there twice is there once.

    Raises:
        ShardUrlError: a brace without its other half, one that holds neither a list nor a range
            of numbers, or more than `MAX_URLS` texts.
    """
    found: dict[str, None] = {}
    for count, whole in enumerate(_expanded(text, text)):
        found[whole] = None
        if count >= MAX_URLS:
            raise ShardUrlError(f"{text}: stands for more than {MAX_URLS} shards")
    return list(found)


def _expanded(part: str, text: str) -> Iterator[str]:
    start = part.find("{")
    if "}" in (part if start < 0 else part[:start]):
        raise ShardUrlError(f"{text}: a brace without its other half")
    if start < 0:
        yield part
        return
    stop, commas = _matching(part, start, text)
    for choice in _choices(part[start + 1 : stop], [at - start - 1 for at in commas], text):
        for inner in _expanded(choice, text):
            for rest in _expanded(part[stop + 1 :], text):
                yield part[:start] + inner + rest


def _matching(part: str, start: int, text: str) -> tuple[int, list[int]]:
    """Where the brace that opens at `start` closes, and where its own commas are."""
    depth = 0
    commas: list[int] = []
    for at in range(start, len(part)):
        depth += {"{": 1, "}": -1}.get(part[at], 0)
        if depth == 0:
            return at, commas
        if part[at] == "," and depth == 1:
            commas.append(at)
    raise ShardUrlError(f"{text}: a brace without its other half")


def _choices(inside: str, commas: list[int], text: str) -> Iterator[str]:
    if numbers := _RANGE.fullmatch(inside):
        first, last = numbers.groups()
        filled = any(end.startswith("0") and end != "0" for end in (first, last))
        width = max(len(first), len(last)) if filled else 0
        step = 1 if int(last) >= int(first) else -1
        for number in range(int(first), int(last) + step, step):
            yield str(number).zfill(width)
    elif commas:
        bounds = [-1, *commas, len(inside)]
        yield from (inside[low + 1 : high] for low, high in pairwise(bounds))
    else:
        raise ShardUrlError(f"{text}: got {{{inside}}}; expected a list {{a,b}} or {{000..120}}")
