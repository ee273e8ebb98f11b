"""Class names that differ in spelling alone: one class that two people wrote in two ways."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

# Spaces, dashes, underscores and quotes; format characters are those that nobody sees.
_SEPARATING = re.compile(r"[\s_\-\u2010-\u2015'\"`´\u2018-\u201f]+")


def spelling_key(label: str) -> str:
    """What names have in common that differ in case, spaces, underscores, quotes or Unicode form.

    Compatibility forms count as one (NFKC): `ﬁre` and `fire`; letters with and without an accent
    do not.
    """
    plain = unicodedata.normalize("NFKC", label).casefold()
    plain = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    return _SEPARATING.sub("", unicodedata.normalize("NFKC", plain)) or label


def alike(counts: Mapping[str, int]) -> list[list[str]]:
    """Groups of names that differ in spelling alone, the most frequent name of each first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        groups[spelling_key(label)].append(label)
    return [group for _, group in sorted(groups.items()) if len(group) > 1]


def alike_in_words(group: Sequence[str], counts: Mapping[str, int]) -> str:
    """One group with its counts; names that look the same are told by their code points."""
    return " and ".join(f"{_shown(label)} ({counts[label]} clips)" for label in group)


def _shown(label: str) -> str:
    return repr(label) if label.isascii() else f"{label!r} {label!a}"
