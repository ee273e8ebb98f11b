"""What can be chosen of the metrics that a detector's output is measured by."""

import math
from dataclasses import dataclass
from typing import Literal

from pmam.errors import InputError

# The keys of `FAMILIES`, which loads what counts.
FAMILY_NAMES = (
    *("psds", "event", "segment", "intersection", "clip"),
    *("frame_ranking", "segment_ranking", "clip_ranking"),
)

# Metrics that post-processing can be chosen by: the keys of `METRICS`.
ChoiceMetric = Literal["psds1", "psds2", "event_f1", "frame_ap", "clip_ap"]


@dataclass(frozen=True, kw_only=True)
class ChoiceSettings:
    """Whether post-processing is chosen on the clips that are evaluated, and by what."""

    # Metric by which windows and boxes are chosen, for use on validation clips; thresholds are
    # chosen by event-based F1. None: nothing is chosen.
    metric: ChoiceMetric | None = None
    # Median windows to choose from, in seconds, besides the system's own.
    medians_s: tuple[float, ...] = ()
    # Whether each class gets a window, or boxes, of its own, as arXiv 2406.04212 chooses boxes.
    by_class: bool = False
    # Whether each class gets the threshold of its highest event-based F1.
    thresholds: bool = True


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """Tolerances and limits of the metrics; the defaults are those of DCASE task 4."""

    # Largest distance of onsets, in seconds, of event-based numbers.
    onset_collar_s: float = 0.2
    # Largest distance of offsets, in seconds, of event-based numbers.
    offset_collar_s: float = 0.2
    # Largest distance of offsets as a part of the event's length, where that is more.
    offset_collar_part: float = 0.2
    # Length of a segment, in seconds, of segment-based numbers and partial AUC.
    segment_s: float = 1.0
    # Part of a detection that must lie in events of its class, of intersection-based F1.
    intersection_dtc: float = 0.5
    # Part of an event that right detections must cover, of intersection-based F1.
    intersection_gtc: float = 0.5
    # False positive rate up to which the partial AUC is taken.
    max_fpr: float = 0.1
    # PSDS of other settings than PSDS1 and PSDS2: the detection tolerance criterion. None: no such
    # number.
    psds_dtc: float | None = None
    # Its ground-truth intersection criterion; by default that of detections.
    psds_gtc: float | None = None
    # Its cross-trigger tolerance criterion, which --metric.psds-alpha-ct needs.
    psds_cttc: float | None = None
    # Its weight of cross triggers.
    psds_alpha_ct: float = 0.0
    # Its weight of the spread across classes.
    psds_alpha_st: float = 0.0
    # Its highest effective rate of false positives per hour.
    psds_e_max: float = 100.0
    # Median widths in seconds of the post-processing-independent PSDS, which takes the best of them
    # at each rate of false positives. None: no such number.
    filters_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        collars = (self.onset_collar_s, self.offset_collar_s, self.offset_collar_part)
        if not all(0 <= collar < math.inf for collar in (*collars, *self.filters_s)):
            raise InputError(
                f"collars {collars}, filters {self.filters_s} s: expected finite numbers, 0 or more"
            )
        parts = (self.intersection_dtc, self.intersection_gtc, self.max_fpr)
        if not all(0 < part <= 1 for part in parts) or not 1e-3 <= self.segment_s < math.inf:
            raise InputError(
                f"intersection_dtc, intersection_gtc, max_fpr {parts}, segments of "
                f"{self.segment_s} s: expected parts in (0, 1], and a millisecond or more"
            )
