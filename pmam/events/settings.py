"""Settings of post-processing: how frame scores are smoothed before they become events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pmam.errors import InputError
from pmam.events.median_filter import odd_frames


@dataclass(frozen=True, kw_only=True)
class BoxSettings:
    """How boxes are found."""

    # Scores are compared over half of this length on either side of a possible border.
    step_s: float = 0.5
    # Limit of a gap that is closed: the highest score of either neighbour is less than this above
    # the gap's lowest.
    merge_drop: float = 0.15
    # Second limit of such a gap: the highest score of either neighbour is less than so many times
    # the gap's lowest. None = no such limit.
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

    # Running median, running maximum of it, or boxes of one confidence each (arXiv 2406.04212).
    method: Literal["median", "max", "boxes"] = "median"
    # Window of median and maximum.
    width_s: float = 0.4
    # Another window for some classes, by name.
    width_by_class_s: dict[str, float] = field(default_factory=dict)
    # False cuts the width to whole frames, be they even, as PMAM's code does: an even window moves
    # events by half a frame.
    odd_windows: bool = True
    # Multiply each class by the probability that the clip holds it (PMAM).
    clip_mask: bool = False
    # Of the method `boxes`.
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
