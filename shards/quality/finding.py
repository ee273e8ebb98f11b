"""What a finding about a dataset is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

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


def finding_of(
    severity: Severity, kind: str, what: str, advice: str, examples: Iterable[str]
) -> Iterator[Finding]:
    """A finding, unless it is about nothing."""
    names = list(examples)
    if names:
        yield Finding(
            severity=severity,
            kind=kind,
            what=what,
            advice=advice,
            count=len(names),
            examples=tuple(names[:EXAMPLES]),
        )
