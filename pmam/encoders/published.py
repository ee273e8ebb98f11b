"""Files of weights that others published."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file that anybody may download.

    Args:
        name: what it is called for short.
        url: where it is.
        sha256: what it must hash to, in hexadecimal; None where nobody has told it.
    """

    name: str
    url: str
    sha256: str | None
