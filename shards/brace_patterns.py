"""Lists of shards in one word, as WebDataset users write them: `train-{000..120}.tar`."""

import re
from itertools import islice

from braceexpand import UnbalancedBracesError, braceexpand  # type: ignore[attr-defined]

from shards.errors import ShardsError

MAX_URLS = 1_000_000
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class ShardUrlError(ShardsError, ValueError):
    """A list of shards that cannot be understood; the message is one line."""


def expand_braces(text: str) -> list[str]:
    """`{a,b}` and `{000..120}` in a text as all texts that they stand for, in their order.

    As shells and WebDataset read them, whose library this is. A text that would be there twice is
    there once.

    Raises:
        ShardUrlError: a brace without its other half, one that holds neither a list nor a range,
            or more than `MAX_URLS` texts.
    """
    # The library counts a range out before it gives the first text.
    if any(len(end) > 9 for ends in _RANGE.findall(text) for end in ends):
        raise ShardUrlError(f"{text}: stands for more than {MAX_URLS} shards")
    if any(abs(int(last) - int(first)) >= MAX_URLS for first, last in _RANGE.findall(text)):
        raise ShardUrlError(f"{text}: stands for more than {MAX_URLS} shards")
    try:
        found = list(islice(braceexpand(text, escape=False), MAX_URLS + 1))
    except UnbalancedBracesError as error:
        raise ShardUrlError(f"{text}: a brace without its other half") from error
    if len(found) > MAX_URLS:
        raise ShardUrlError(f"{text}: stands for more than {MAX_URLS} shards")
    if left := re.search(r"\{[^{}]*\}", found[0]):
        raise ShardUrlError(f"{text}: got {left[0]}; expected a list {{a,b}} or {{000..120}}")
    return list(dict.fromkeys(found))
