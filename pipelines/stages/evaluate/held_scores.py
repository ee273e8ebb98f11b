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
    """Where a clip's scores lie in the file, class after class."""

    offset: int
    shape: tuple[int, int]  # (classes, frames)
    dtype: np.dtype[Any]


@dataclass(frozen=True, kw_only=True)
class _Held:
    """The scores of a clip, `(classes, frames)`, here or in the file."""

    where: Scores | _Place
    dtype: np.dtype[np.floating]  # that they are read as


@dataclass
class HeldScores(Mapping[str, Scores]):
    """The scores of clips and the edges of their frames, each made once.

    Scores that half precision holds as they are, as those that `pmam score` wrote mostly are after
    a median, are held so; they are read in the type that they came in.

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
    _held: dict[str, _Held] = field(default_factory=dict)
    _bytes: int = 0
    _file: IO[bytes] | None = None

    def __post_init__(self) -> None:
        faults = Faults(PipelineError, ShardsError)
        for clip in self.clips:
            with faults.noted():
                scores, edges_s = self.make(clip)
                if not faults.errors:  # else nobody will see them
                    self.edges_s[clip] = edges_s
                    self._held[clip] = _Held(where=self._kept(_half(scores)), dtype=scores.dtype)
        faults.check()

    def _kept(self, scores: Scores) -> Scores | _Place:
        by_class = np.ascontiguousarray(scores.T)
        if self._bytes + by_class.nbytes <= self.most_bytes:
            self._bytes += by_class.nbytes
            return by_class
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="pmam-scores-")  # noqa: SIM115
        classes, frames = by_class.shape
        place = _Place(offset=self._file.tell(), shape=(classes, frames), dtype=by_class.dtype)
        self._file.write(by_class.data)
        return place

    def __getitem__(self, clip: str) -> Scores:
        return self.columns(clip, 0, None)

    def columns(self, clip: str, begin: int, end: int | None) -> Scores:
        """The scores of some classes, `(frames, end - begin)`; no others are read."""
        held = self._held[clip]
        found = held.where
        if isinstance(found, _Place):
            found = self._read(clip, found, begin, end)
        else:
            found = found[begin:end]
        return found.T.astype(held.dtype, copy=False)

    def _read(self, clip: str, place: _Place, begin: int, end: int | None) -> Scores:
        assert self._file is not None
        classes, frames = place.shape
        rows = range(classes)[begin:end]
        scores = np.empty((len(rows), frames), place.dtype)
        self._file.seek(place.offset + rows.start * frames * place.dtype.itemsize)
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


def _half(scores: Scores) -> Scores:
    """The scores in half precision where that holds all of them exactly, else as they are."""
    if scores.dtype.itemsize <= np.dtype(np.float16).itemsize:
        return scores
    with np.errstate(over="ignore"):
        half = scores.astype(np.float16)
    return half if np.array_equal(half, scores) else scores
