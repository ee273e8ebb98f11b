"""What a finding about a dataset is."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy.typing as npt

Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
EXAMPLES = 1000  # clips named per finding


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the encoder works with: its sample rate, and how long its frames are."""

    encoder: str
    sample_rate_hz: int
    hop_s: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of doubt: what is doubtful, how many there are, and up to `EXAMPLES` of them."""

    severity: Severity
    kind: str
    what: str
    advice: str
    count: int
    examples: tuple[str, ...]


class Clips(Collection[str]):
    """A line for each of some clips, put together only where it is read.

    Args:
        places: of the clips in the index.
        tell: the line of the clip at a place.
    """

    def __init__(self, places: npt.NDArray[Any], tell: Callable[[int], str]) -> None:
        self._places, self._tell = places, tell

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return map(self._tell, map(int, self._places))

    def __contains__(self, line: object) -> bool:
        return any(line == each for each in self)


def finding_of(
    severity: Severity, kind: str, what: str, advice: str, examples: Collection[str]
) -> Iterator[Finding]:
    """A finding, unless it is about nothing."""
    if len(examples):
        yield Finding(
            severity=severity,
            kind=kind,
            what=what,
            advice=advice,
            count=len(examples),
            examples=tuple(islice(examples, EXAMPLES)),
        )
