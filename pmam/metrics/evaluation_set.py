"""What every metric is computed from: the frame scores and the ground truth of a set of clips."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError
from pmam.events.event import Event, FloatArray, uniform_edges_s
from pmam.events.union import united


@runtime_checkable
class ByColumns(Protocol):
    """Scores of clips of which those of some classes can be read without the others."""

    def columns(self, clip: str, begin: int, end: int | None) -> npt.NDArray[np.floating]:
        """The scores ``(frames, end - begin)`` of the classes from ``begin`` to before ``end``."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Clips with frame scores and ground truth, checked once so that metrics need not check.

    Args:
        scores: per clip ``(frames, classes)``. A frame scored -inf is below every threshold. Those
            that are :class:`ByColumns` are read so where few classes are asked for.
        hop_s: seconds per frame, counted from the clip's start; or, where frames are not equally
            long, their edges ``(frames + 1,)`` in seconds per clip.
        ground_truth: per clip its events; a clip without events has an empty list. Events may
            reach past the end of the clip (they are not cut). Overlapping events of one class
            are held as one (`pmam.events.union`), for all metrics and for whoever compares.
        durations_s: per clip its length in seconds.
        classes: names of the score columns.
        threshold: scores above it make events, for metrics of events; one for all classes, or
            one for each.

    Raises:
        InputError: when the tables do not hold the same clips, or a clip's scores, edges,
            duration or labels are not as described. The message names the clip.
    """

    scores: Mapping[str, npt.NDArray[np.floating]]
    hop_s: float | Mapping[str, FloatArray]
    ground_truth: Mapping[str, Sequence[Event]]
    durations_s: Mapping[str, float]
    classes: Sequence[str]
    threshold: float | Sequence[float] = 0.5
    dtype: np.dtype[np.floating] = field(init=False, repr=False)  # that all scores fit in

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise InputError(f"classes {list(self.classes)}: expected one or more distinct names")
        if not self.ground_truth:
            raise InputError("no clips: expected at least one to evaluate")
        self._check_same_clips("scores", self.scores)
        self._check_same_clips("durations_s", self.durations_s)
        if isinstance(self.hop_s, Mapping):
            self._check_same_clips("hop_s", self.hop_s)
        dtypes = {self._check_clip(clip) for clip in self.ground_truth}
        object.__setattr__(self, "dtype", np.result_type(*dtypes))
        truth = {clip: united(events) for clip, events in self.ground_truth.items()}
        object.__setattr__(self, "ground_truth", truth)

    def _check_same_clips(self, name: str, table: Mapping[str, object]) -> None:
        missing = sorted(self.ground_truth.keys() - table.keys())
        if missing:
            raise InputError(
                f"{name}: clip {missing[0]!r} of the ground truth is missing "
                f"({len(missing)} in all); every clip needs an entry, also one without events"
            )
        unknown = sorted(table.keys() - self.ground_truth.keys())
        if unknown:
            raise InputError(
                f"{name}: clip {unknown[0]!r} is not in the ground truth ({len(unknown)} in all); "
                f"give it an empty list there when it has no events"
            )

    def _check_clip(self, clip: str) -> np.dtype[np.floating]:
        scores = self.scores[clip]
        if scores.ndim != 2 or scores.shape[1] != len(self.classes) or not len(scores):
            raise InputError(
                f"clip {clip!r}: scores {scores.shape}, expected "
                f"(frames, {len(self.classes)}) with at least one frame"
            )
        if not np.issubdtype(scores.dtype, np.floating):
            raise InputError(f"clip {clip!r}: scores of type {scores.dtype}, expected floats")
        if not (scores < np.inf).all():
            raise InputError(
                f"clip {clip!r}: scores hold NaN or +inf; check the detector on this clip"
            )
        duration_s = self.durations_s[clip]
        if not (math.isfinite(duration_s) and duration_s > 0):
            raise InputError(f"clip {clip!r}: duration {duration_s} s, expected a positive number")
        edges_s = self.edges_s(clip)
        if edges_s.shape != (len(scores) + 1,) or not (np.diff(edges_s) > 0).all():
            raise InputError(
                f"clip {clip!r}: frame edges {edges_s.shape}, expected "
                f"{len(scores) + 1} rising times for {len(scores)} frames"
            )
        for event in self.ground_truth[clip]:
            if event.label not in self.classes:
                raise InputError(
                    f"clip {clip!r}: label {event.label!r} is not one of the "
                    f"classes {list(self.classes)}"
                )
        return scores.dtype

    @property
    def clips(self) -> list[str]:
        """The clips' names, in the ground truth's order."""
        return list(self.ground_truth)

    def columns(self, clip: str, begin: int, end: int) -> npt.NDArray[np.floating]:
        """A clip's scores ``(frames, end - begin)`` of some classes that follow each other."""
        if isinstance(self.scores, ByColumns):
            return self.scores.columns(clip, begin, end)
        return self.scores[clip][:, begin:end]

    def edges_s(self, clip: str) -> FloatArray:
        """The edges ``(frames + 1,)`` of a clip's frames in seconds."""
        if isinstance(self.hop_s, Mapping):
            return self.hop_s[clip]
        return uniform_edges_s(len(self.scores[clip]), self.hop_s)

    def events_of(self, clip: str, label: str) -> Iterator[Event]:
        """A clip's events of one class."""
        return (event for event in self.ground_truth[clip] if event.label == label)

    def take(self, clips: Iterable[str]) -> "EvaluationSet":
        """The set of the named clips; a name may come again, as in a bootstrap resample."""
        chosen = {f"{clip}#{copy}": clip for copy, clip in enumerate(clips)}
        return EvaluationSet(
            scores={new: self.scores[old] for new, old in chosen.items()},
            hop_s={new: self.edges_s(old) for new, old in chosen.items()},
            ground_truth={new: self.ground_truth[old] for new, old in chosen.items()},
            durations_s={new: self.durations_s[old] for new, old in chosen.items()},
            classes=self.classes,
            threshold=self.threshold,
        )
