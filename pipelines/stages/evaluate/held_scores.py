"""Scores that are read again and again: in memory as far as a limit allows, behind it in a file."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pipelines.runtime.errors import PipelineError
from pmam.events.event import FloatArray
from shards.errors import Faults, ShardsError

Scores = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a clip's scores lie in the file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass
class HeldScores(Mapping[str, Scores]):
    """The scores of clips and the edges of their frames, each made once.

    Args:
        clips: their names, in order.
        make: a clip's scores `(frames, classes)` and the edges `(frames + 1,)` of its frames.
        most_bytes: what memory may hold; the rest is written to a file that has no name and goes
            when nothing reads it any more.

    Raises:
        PipelineError, ShardsError: clips that cannot be made, all of them in one message.
    """

    clips: tuple[str, ...]
    make: Callable[[str], tuple[Scores, FloatArray]]
    most_bytes: int = 2**28
    edges_s: dict[str, FloatArray] = field(default_factory=dict)
    _held: dict[str, Scores | _Place] = field(default_factory=dict)
    _bytes: int = 0
    _file: IO[bytes] | None = None

    def __post_init__(self) -> None:
        faults = Faults(PipelineError, ShardsError)
        for clip in self.clips:
            with faults.noted():
                scores, edges_s = self.make(clip)
                if not faults.errors:  # else nobody will see them
                    self.edges_s[clip] = edges_s
                    self._held[clip] = self._kept(np.ascontiguousarray(scores))
        faults.check()

    def _kept(self, scores: Scores) -> Scores | _Place:
        if self._bytes + scores.nbytes <= self.most_bytes:
            self._bytes += scores.nbytes
            return scores
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="pmam-scores-")  # noqa: SIM115
        place = _Place(offset=self._file.tell(), shape=scores.shape, dtype=scores.dtype)
        self._file.write(scores.data)
        return place

    def __getitem__(self, clip: str) -> Scores:
        held = self._held[clip]
        if not isinstance(held, _Place):
            return held
        assert self._file is not None
        self._file.seek(held.offset)
        scores = np.empty(held.shape, held.dtype)
        read = self._file.readinto(scores.data)  # type: ignore[attr-defined]
        if read != scores.nbytes:
            raise OSError(
                f"scores of clip {clip!r}: the temporary file gave {read} of {scores.nbytes} bytes;"
                " expected all: is its disk full (TMPDIR names another)?"
            )
        return scores

    def __iter__(self) -> Iterator[str]:
        return iter(self.clips)

    def __len__(self) -> int:
        return len(self.clips)
