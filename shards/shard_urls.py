"""Lists of shards in one word, as WebDataset users write them: `train-{000..120}.tar`."""

import re

MAX_URLS = 1_000_000
_INNERMOST = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")


class ShardUrlError(ValueError):
    """A list of shards that cannot be understood; the message is one line."""


def expand_braces(text: str) -> list[str]:
    """`{a,b}` and `{000..120}` in a text as all texts that they stand for, in their order.

    Numbers keep the zeros in front of the first one; a range may run down; braces nest.
    """
    found = _INNERMOST.search(text)
    if found is None:
        if "{" in text or "}" in text:
            raise ShardUrlError(f"{text}: a brace without its other half")
        return [text]
    parts = _alternatives(found.group(1), text)
    texts = [
        whole
        for part in parts
        for whole in expand_braces(text[: found.start()] + part + text[found.end() :])
    ]
    # an outer list holds an inner one's texts more than once: {a,b{1,2}} -> a, b1, a, b2
    unique = list(dict.fromkeys(texts))
    if len(unique) > MAX_URLS:
        raise ShardUrlError(f"{text}: stands for more than {MAX_URLS} shards")
    return unique


def _alternatives(inside: str, text: str) -> list[str]:
    if numbers := _RANGE.fullmatch(inside):
        first, last = numbers.groups()
        if abs(int(last) - int(first)) >= MAX_URLS:
            raise ShardUrlError(f"{text}: stands for more than {MAX_URLS} shards")
        step = 1 if int(last) >= int(first) else -1
        return [
            str(number).zfill(len(first)) for number in range(int(first), int(last) + step, step)
        ]
    if "," not in inside:
        raise ShardUrlError(f"{text}: got {{{inside}}}; expected a list {{a,b}} or {{000..120}}")
    return inside.split(",")
