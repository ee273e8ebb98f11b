"""Event- and segment-based numbers against examples worked by hand, and against sed_eval.

The examples are in the way of those in Mesaros et al., "Metrics for polyphonic sound event
detection", Applied Sciences 6 (162), 2016, figures 2 and 3; the arithmetic stands beside them.
"""

import warnings
from typing import Any

import numpy as np
import pytest

from pmam.events.event import Event
from pmam.metrics.events.count_table import CountTable
from pmam.metrics.events.detection_set import DetectionSet
from pmam.metrics.events.event_f1 import Collars, event_counts
from pmam.metrics.events.segment_based import segment_counts

CLASSES = ("car", "dog", "speech")
Table = list[tuple[float, float, str]]


def events(table: Table) -> list[Event]:
    return [Event(onset_s=a, offset_s=b, label=label) for a, b, label in table]


def micro(table: CountTable) -> dict[str, float]:
    found = table.numbers(np.ones((1, len(table.tp))))
    return {name: float(values["micro"][0]) for name, values in found.items()}


def segments(truth: Table, said: Table, length_s: float, segment_s: float = 1.0) -> CountTable:
    clips = DetectionSet(
        points={"": {"a": events(said)}},
        ground_truth={"a": events(truth)},
        durations_s={"a": length_s},
        classes=CLASSES,
    )
    return segment_counts(clips, clips.points[""], segment_s)


def by_events(truth: Table, said: Table, **collars: float) -> CountTable:
    return event_counts({"a": events(said)}, {"a": events(truth)}, CLASSES, Collars(**collars))


def test_segments_by_hand() -> None:
    """Six segments of a second.

    segment        0         1            2          3         4         5
    truth        speech  speech, car  speech, car   car        -        dog
    detected     speech  speech       speech, dog   dog       dog        -
    TP              1        1            1          0         0         0    = 3
    FP              0        0            1 (dog)    1 (dog)   1 (dog)   0    = 3
    FN              0        1 (car)      1 (car)    1 (car)   0         1    = 4
    S = min(FP, FN) 0        0            1          1         0         0    = 2
    D = FN - S      0        1            0          0         0         1    = 2
    I = FP - S      0        0            0          0         1         0    = 1
    N (truth)       1        2            2          1         0         1    = 7
    """
    truth = [(0.0, 3.0, "speech"), (1.0, 4.0, "car"), (5.0, 6.0, "dog")]
    said = [(0.0, 3.0, "speech"), (2.0, 5.0, "dog")]
    table = segments(truth, said, 6.0)
    # of car, dog and speech: car is missed thrice; dog is false thrice and missed once
    assert table.tp.tolist() == [[0, 0, 3]]
    assert table.fp.tolist() == [[0, 3, 0]]
    assert table.fn.tolist() == [[3, 1, 0]]
    assert micro(table) == pytest.approx(
        {
            "precision": 3 / (3 + 3),
            "recall": 3 / (3 + 4),
            "f1": 2 * 3 / (2 * 3 + 3 + 4),  # 6 / 13
            "substitution_rate": 2 / 7,
            "deletion_rate": 2 / 7,
            "insertion_rate": 1 / 7,
            "error_rate": (2 + 2 + 1) / 7,
        }
    )


def test_events_by_hand() -> None:
    """Onsets within 200 ms, offsets within 200 ms or a fifth of the event, whichever is more.

    truth                 detected
    speech  1.0  3.0      speech  1.2  3.4    on the collars: 0.2 <= 0.2; 0.4 <= 0.2 * 2.0    TP
    speech  4.0  4.5      speech  4.21 4.5    onset 10 ms too late             an FP and an FN
    car     6.0  9.0      dog     6.1  8.8    fits but for the class: FP and FN, one pair    S
    dog    10.0 10.4      -                                                              FN, D
    -                     car    12.0 13.0                                               FP, I

    TP 1; FP 3; FN 3; N 4. The second pair does not fit in time, so it is no substitution:
    S 1, D = 3 - 1 = 2, I = 3 - 1 = 2.
    """
    truth = [(1.0, 3.0, "speech"), (4.0, 4.5, "speech"), (6.0, 9.0, "car"), (10.0, 10.4, "dog")]
    said = [(1.2, 3.4, "speech"), (4.21, 4.5, "speech"), (6.1, 8.8, "dog"), (12.0, 13.0, "car")]
    table = by_events(truth, said)
    assert table.tp.tolist() == [[0, 0, 1]]
    assert table.fp.tolist() == [[1, 1, 1]]
    assert table.fn.tolist() == [[1, 1, 1]]
    assert micro(table) == pytest.approx(
        {
            "precision": 1 / 4,
            "recall": 1 / 4,
            "f1": 2 * 1 / (2 * 1 + 3 + 3),
            "substitution_rate": 1 / 4,
            "deletion_rate": 2 / 4,
            "insertion_rate": 2 / 4,
            "error_rate": 5 / 4,
        }
    )
    # Without the part of the length, 3.4 is 0.4 s late for 3.0: TP 0.
    assert by_events(truth, said, offset_part=0.0).tp.sum() == 0
    # With onsets 10 ms wider the second fits too.
    assert by_events(truth, said, onset_s=0.21).tp.tolist() == [[0, 0, 2]]


def random_table(rng: np.random.Generator) -> Table:
    """Events that do not overlap others of their class, times in tens of milliseconds."""
    table: Table = []
    for label in CLASSES:
        time = 0
        for _ in range(int(rng.integers(0, 5))):
            time += int(rng.integers(2, 150))
            length = int(rng.integers(5, 150))
            table.append((time / 100, (time + length) / 100, label))
            time += length
    return table


def nudged(table: Table, rng: np.random.Generator) -> Table:
    """The same with other times and, now and then, other classes."""
    said: Table = []
    for onset_s, offset_s, label in table:
        # Three milliseconds more: sed_eval compares floats, and so loses what is on a collar.
        at = np.array([onset_s, offset_s]) + rng.integers(-25, 26, 2) / 100 + 0.003
        if at[0] < 0 or at[1] <= at[0] or rng.random() < 0.15:
            continue
        other = str(rng.choice(CLASSES)) if rng.random() < 0.2 else label
        if all(at[0] > b or at[1] < a for a, b, name in said if name == other):
            said.append((float(at[0]), float(at[1]), other))
    return said


def theirs(metrics: Any, truth: Table, said: Table, length_s: float | None) -> dict[str, float]:
    from dcase_util.containers import MetaDataContainer

    given = [
        MetaDataContainer(
            [
                {"file": "a.wav", "event_label": label, "onset": onset_s, "offset": offset_s}
                for onset_s, offset_s, label in table
            ]
        )
        for table in (truth, said)
    ]
    extra = {} if length_s is None else {"evaluated_length_seconds": length_s}
    metrics.evaluate(*given, **extra)
    overall = metrics.results_overall_metrics()
    return {
        **{k: overall["f_measure"][k] for k in ("precision", "recall")},
        "f1": overall["f_measure"]["f_measure"],
        **overall["error_rate"],
    }


@pytest.mark.parametrize("kind", ["event", "segment"])
def test_as_sed_eval(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("sed_eval", reason="peers group not installed")
        import sed_eval
    rng, compared = np.random.default_rng(0), 0
    for _ in range(40):
        truth = random_table(rng)
        said = nudged(truth, rng)
        if not truth or not said:
            continue
        if kind == "event":
            metrics = sed_eval.sound_event.EventBasedMetrics(
                list(CLASSES), t_collar=0.2, percentage_of_length=0.2
            )
            expected, table = theirs(metrics, truth, said, None), by_events(truth, said)
        else:
            metrics = sed_eval.sound_event.SegmentBasedMetrics(list(CLASSES), time_resolution=1.0)
            expected, table = theirs(metrics, truth, said, 30.0), segments(truth, said, 30.0)
        assert {
            k: v for k, v in micro(table).items() if not np.isnan(expected[k])
        } == pytest.approx({k: v for k, v in expected.items() if not np.isnan(v)}, abs=1e-12)
        compared += 1
    assert compared > 25
