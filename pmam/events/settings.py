"""Settings of post-processing: what is done to frame scores before they become events."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from pmam.errors import InputError

Value = TypeVar("Value")
Method = Literal["median", "max", "boxes"]


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

    @property
    def in_words(self) -> str:
        """All of it in a few words."""
        ratio = "" if self.merge_ratio is None else f", ratio {self.merge_ratio:g}"
        return f"step {self.step_s:g} s, drop {self.merge_drop:g}{ratio}"


@dataclass(frozen=True, kw_only=True)
class PostprocessSettings:
    """From frame scores to events; a detector's checkpoint stores them."""

    # Smoothing: running median, running maximum of that median, or boxes with one confidence each
    # (arXiv 2406.04212).
    method: Method = "median"
    # Window length of median and maximum, in seconds.
    median_s: float = 0.4
    # Window lengths of single classes, by class name, in seconds.
    median_by_class_s: dict[str, float] = field(default_factory=dict)
    # Whether windows are rounded to odd numbers of frames; false cuts them to whole frames, as
    # PMAM's code does, where an even window moves events by half a frame.
    odd_windows: bool = True
    # Whether each class's scores are multiplied by the probability that the clip contains it
    # (PMAM).
    clip_mask: bool = False
    # Settings of the method `boxes`.
    boxes: BoxSettings = field(default_factory=BoxSettings)
    # Settings of the method `boxes` of single classes, by name.
    boxes_by_class: dict[str, BoxSettings] = field(default_factory=dict)
    # Probability above which frames, or a box, make an event.
    threshold: float = 0.5
    # Thresholds of single classes, by name.
    threshold_by_class: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for width_s in (self.median_s, *self.median_by_class_s.values()):
            if not 0 <= width_s < math.inf:
                raise InputError(f"median width {width_s} s: expected a finite number, 0 or more")
        for threshold in (self.threshold, *self.threshold_by_class.values()):
            if not 0 <= threshold < 1:
                raise InputError(f"threshold {threshold}: expected at least 0 and below 1")

    def sizes(self, classes: Sequence[str], hop_s: float) -> list[int]:
        """The window of each class in frames.

        Raises:
            InputError: a width of a class that is not there, or a hop that is not positive.
        """
        from pmam.events.median_filter import odd_frames  # numpy, which settings do without

        widths_s = _of_each("median width", self.median_s, self.median_by_class_s, classes)
        sizes = [odd_frames(width_s, hop_s) for width_s in widths_s]  # refuses bad hops
        if self.odd_windows:
            return sizes
        # The reference cuts the fraction off; the slack keeps whole numbers whole.
        return [max(int(width_s / hop_s + 1e-6), 1) for width_s in widths_s]

    def thresholds(self, classes: Sequence[str]) -> list[float]:
        """The threshold of each class.

        Raises:
            InputError: a threshold of a class that is not there.
        """
        return _of_each("threshold", self.threshold, self.threshold_by_class, classes)

    def boxes_of(self, classes: Sequence[str]) -> list[BoxSettings]:
        """How boxes of each class are found.

        Raises:
            InputError: boxes of a class that is not there.
        """
        return _of_each("boxes", self.boxes, self.boxes_by_class, classes)

    def check(self, classes: Sequence[str]) -> None:
        """Refuse names that are none of the classes.

        Raises:
            InputError: there is one; the message names it.
        """
        self.sizes(classes, 1.0)
        self.thresholds(classes)
        self.boxes_of(classes)

    @property
    def needs_whole(self) -> bool:
        """Whether the scores of a whole clip decide on each of its frames."""
        return self.clip_mask or self.method == "boxes"

    @property
    def in_words(self) -> str:
        """All of it in one line."""
        windows = f"{_listed(self.median_s, self.median_by_class_s)} s"
        of_classes = "".join(
            f"; {name}: {box.in_words}" for name, box in self.boxes_by_class.items()
        )
        smoothing = {
            "median": f"median {windows}",
            "max": f"maximum of median {windows}",
            "boxes": f"boxes ({self.boxes.in_words}{of_classes})",
        }[self.method]
        even = "" if self.odd_windows or self.method == "boxes" else ", even windows"
        mask = ", clip mask" if self.clip_mask else ""
        threshold = _listed(self.threshold, self.threshold_by_class)
        return f"{smoothing}{even}{mask}, threshold {threshold}"


@dataclass(frozen=True, kw_only=True)
class BoxOverrides:
    """Boxes other than those that the detector stores."""

    # Length, in seconds, over which scores are compared: half on either side of a possible event
    # edge; by default the detector's.
    step_s: float | None = None
    # Depth below which a gap between boxes is closed: the highest score of either neighbour minus
    # the gap's lowest; by default the detector's.
    merge_drop: float | None = None
    # Second condition for closing a gap: largest ratio of either neighbour's highest score to the
    # gap's lowest; inf: no such condition; by default the detector's.
    merge_ratio: float | None = None

    def applied(self, stored: BoxSettings) -> BoxSettings:
        """The stored settings with what is given here in place of theirs."""
        ratio = stored.merge_ratio if self.merge_ratio is None else self.merge_ratio
        return BoxSettings(
            step_s=stored.step_s if self.step_s is None else self.step_s,
            merge_drop=stored.merge_drop if self.merge_drop is None else self.merge_drop,
            merge_ratio=None if ratio == math.inf else ratio,
        )


@dataclass(frozen=True, kw_only=True)
class PostprocessOverrides:
    """Post-processing other than what the detector stores; by default nothing differs."""

    # Smoothing: running median, running maximum of that median, or boxes with one confidence each
    # (arXiv 2406.04212); by default the detector's.
    method: Method | None = None
    # Window length of median and maximum for all classes, in seconds; by default the detector's.
    median_s: float | None = None
    # Window lengths of single classes, by class name, in seconds.
    median_by_class_s: dict[str, float] = field(default_factory=dict)
    # Whether windows are rounded to odd numbers of frames; by default the detector's.
    odd_windows: bool | None = None
    # Whether each class's scores are multiplied by the probability that the clip contains it; by
    # default the detector's.
    clip_mask: bool | None = None
    # Settings of the method `boxes`.
    boxes: BoxOverrides = field(default_factory=BoxOverrides)
    # Probability above which frames, or a box, make an event, for all classes; by default the
    # detector's.
    threshold: float | None = None
    # Thresholds of single classes, by name.
    threshold_by_class: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.applied(PostprocessSettings())  # says what is wrong with it

    def applied(self, stored: PostprocessSettings) -> PostprocessSettings:
        """The stored settings with what is given here in place of theirs.

        A window or threshold of all classes also takes the place of stored ones of single classes;
        what is given of boxes is that of all classes.
        """
        found = replace(
            stored,
            boxes=self.boxes.applied(stored.boxes),
            boxes_by_class={
                name: self.boxes.applied(of_class)
                for name, of_class in stored.boxes_by_class.items()
            },
        )
        if self.method is not None:
            found = replace(found, method=self.method)
        if self.median_s is not None:
            found = replace(found, median_s=self.median_s, median_by_class_s={})
        if self.odd_windows is not None:
            found = replace(found, odd_windows=self.odd_windows)
        if self.clip_mask is not None:
            found = replace(found, clip_mask=self.clip_mask)
        if self.threshold is not None:
            found = replace(found, threshold=self.threshold, threshold_by_class={})
        return replace(
            found,
            median_by_class_s={**found.median_by_class_s, **self.median_by_class_s},
            threshold_by_class={**found.threshold_by_class, **self.threshold_by_class},
        )


def _of_each(
    what: str, general: Value, by_class: Mapping[str, Value], classes: Sequence[str]
) -> list[Value]:
    if unknown := sorted(by_class.keys() - set(classes)):
        there = ", ".join(classes)
        raise InputError(f"{what} of the class {unknown[0]!r}: expected one of {there}")
    return [by_class.get(name, general) for name in classes]


def _listed(general: float, by_class: Mapping[str, float]) -> str:
    others = ", ".join(f"{name} {value:.3g}" for name, value in by_class.items())
    return f"{general:g} ({others})" if others else f"{general:g}"
