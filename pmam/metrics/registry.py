"""The metrics by name; to add one, write a file here and one line in `METRICS`.

A metric is a function from an `EvaluationSet` to something with `.value` and `.per_class`.
"""

from collections.abc import Callable
from functools import partial

from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.event_f1 import event_f1
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2, psds
from pmam.metrics.ranking.average_precision import macro_clip_ap, macro_frame_ap
from pmam.metrics.results import MetricResult

METRICS: dict[str, Callable[[EvaluationSet], MetricResult]] = {
    "psds1": partial(psds, settings=PSDS1),
    "psds2": partial(psds, settings=PSDS2),
    "event_f1": event_f1,  # at the thresholds of the set
    "frame_ap": macro_frame_ap,
    "clip_ap": macro_clip_ap,
}
