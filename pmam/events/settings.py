"""Settings of post-processing: how frame scores are smoothed before they become events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pmam.errors import InputError
from pmam.events.median_filter import odd_frames


@dataclass(frozen=True, kw_only=True)
class BoxSettings:
    """How boxes are found."""

    # Length, in seconds, over which scores are compared: half on either side of a possible event
    # edge.
    step_s: float = 0.5
    # Depth below which a gap between boxes is closed: the highest score of either neighbour minus
    # the gap's lowest.
    merge_drop: float = 0.15
    # Second condition for closing a gap: largest ratio of either neighbour's highest score to the
    # gap's lowest. None: no such condition.
    merge_ratio: float | None = None

    def __post_init__(self) -> None:
        ratio = 1.0 if self.merge_ratio is None else self.merge_ratio
        if not (self.step_s > 0 and self.merge_drop >= 0 and ratio >= 1):
            raise InputError(
                f"boxes with step {self.step_s} s, merge drop {self.merge_drop}, merge ratio "
                f"{self.merge_ratio}: expected a positive step, a drop >= 0 and a ratio >= 1"
            )


@dataclass(frozen=True, kw_only=True)
class SmoothingSettings:
    """How frame scores are smoothed."""

    # Smoothing: running median, running maximum of that median, or boxes with one confidence each
    # (arXiv 2406.04212).
    method: Literal["median", "max", "boxes"] = "median"
    # Window length of median and maximum, in seconds.
    width_s: float = 0.4
    # Window lengths of single classes, by class name, in seconds.
    width_by_class_s: dict[str, float] = field(default_factory=dict)
    # Whether windows are rounded to odd numbers of frames; false cuts them to whole frames, as
    # PMAM's code does, where an even window moves events by half a frame.
    odd_windows: bool = True
    # Whether each class's scores are multiplied by the probability that the clip contains it
    # (PMAM).
    clip_mask: bool = False
    # Settings of the method `boxes`.
    boxes: BoxSettings = field(default_factory=BoxSettings)

    def sizes(self, classes: Sequence[str], hop_s: float) -> list[int]:
        """The window of each class in frames.

        Raises:
            InputError: a width that is negative, or of a class that is not there.
        """
        if unknown := sorted(self.width_by_class_s.keys() - set(classes)):
            raise InputError(
                f"filter width of the class {unknown[0]!r}: expected one of {', '.join(classes)}"
            )
        widths_s = [self.width_by_class_s.get(name, self.width_s) for name in classes]
        sizes = [odd_frames(width_s, hop_s) for width_s in widths_s]  # refuses bad widths
        if self.odd_windows:
            return sizes
        # The reference cuts the fraction off; the slack keeps whole numbers whole.
        return [max(int(width_s / hop_s + 1e-6), 1) for width_s in widths_s]
