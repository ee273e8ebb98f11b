"""Post-processing chosen on clips: it finds what was planted, and leaves alone what it cannot."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pmam.events.event import Event
from pmam.events.settings import BoxSettings, PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.event_f1 import event_f1
from pmam.metrics.polyphonic.psds import PSDS1, psds
from pmam.metrics.postprocess_choice import BOX_GRID, chosen_postprocess, postprocessed
from pmam.settings import from_json, to_json

HOP_S, FRAMES = 0.1, 100
CLASSES = ("cat", "dog", "owl")  # no owl is ever heard
# Scores of cats and dogs lie at other heights: one threshold does not suit both.
HEIGHTS = {"cat": (0.15, 0.35), "dog": (0.6, 0.9)}


def flickering(clips: int = 12) -> tuple[dict[str, np.ndarray], dict[str, list[Event]]]:
    """Events of 3 s whose scores drop out for two frames at a time, and sound for two elsewhere."""
    random = np.random.default_rng(0)
    scores, truth = {}, {}
    for clip in range(clips):
        frames = np.zeros((FRAMES, 3), np.float32)
        truth[str(clip)] = []
        for column, (label, (low, high)) in enumerate(HEIGHTS.items()):
            first = int(random.integers(5, 60))
            frames[:, column] = low
            frames[first : first + 30, column] = high
            for place in (first + 8, first + 18):
                frames[place : place + 2, column] = low
            for place in (first - 5, first + 35):
                frames[place : place + 2, column] = high
            event = Event(onset_s=first * HOP_S, offset_s=(first + 30) * HOP_S, label=label)
            truth[str(clip)].append(event)
        frames += random.normal(0, 0.01, frames.shape).astype(np.float32)
        scores[str(clip)] = frames.clip(0, 1)
    return scores, truth


SCORES, TRUTH = flickering()


def processed(settings: PostprocessSettings, length_s: float = FRAMES * HOP_S) -> EvaluationSet:
    durations_s = dict.fromkeys(SCORES, length_s)
    return postprocessed(SCORES.items(), HOP_S, TRUTH, durations_s, CLASSES, settings)


def test_the_planted_window_and_thresholds_are_found() -> None:
    given = PostprocessSettings(median_s=0.1)
    found = chosen_postprocess(processed, given, medians_s=(0.1, 0.7, 8.0))
    assert found.median_s == 0.7
    thresholds = dict(zip(CLASSES, found.thresholds(CLASSES), strict=True))
    for label, (low, high) in HEIGHTS.items():
        assert low < thresholds[label] < high
    assert thresholds["owl"] == 0.5  # nothing to choose by
    result = event_f1(processed(found))
    assert result.value == 1.0
    assert event_f1(processed(replace(found, threshold_by_class={}))).value < 1.0
    assert event_f1(processed(replace(found, median_s=0.1))).value < 1.0


def test_only_what_is_asked_for_is_chosen() -> None:
    given = PostprocessSettings(median_s=0.3)
    assert chosen_postprocess(processed, given, medians_s=(), thresholds=False) == given
    found = chosen_postprocess(processed, given, medians_s=(0.1, 0.7), thresholds=False)
    assert found == replace(given, median_s=0.7)
    given = replace(given, median_s=0.7)
    found = chosen_postprocess(processed, given)
    assert found.median_s == 0.7
    assert found.threshold_by_class.keys() == {"cat", "dog"}
    fixed = replace(given, threshold_by_class={"cat": 0.9})
    assert chosen_postprocess(processed, fixed).threshold_by_class["cat"] == 0.9
    boxes = PostprocessSettings(method="boxes")
    assert chosen_postprocess(processed, boxes, medians_s=(2.0,)).median_s == boxes.median_s


@pytest.mark.parametrize("metric", ["event_f1", "frame_ap"])
def test_windows_are_chosen_by_the_named_metric(metric: str) -> None:
    given = PostprocessSettings(median_s=0.1)
    found = chosen_postprocess(processed, given, medians_s=(0.7, 8.0), metric=metric)
    assert found.median_s == 0.7


def test_each_class_gets_the_window_that_suits_it() -> None:
    """Dogs bark for 0.3 s, which a window of 0.7 s would remove; cats drop out for 0.2 s."""
    scores, truth = {}, {}
    for clip, events in TRUTH.items():
        frames = SCORES[clip].copy()
        frames[:, 1] = 0.6
        barks = range(5, 95, 15)
        for first in barks:
            frames[first : first + 3, 1] = 0.9
        scores[clip] = frames
        truth[clip] = [event for event in events if event.label == "cat"] + [
            Event(onset_s=first * HOP_S, offset_s=(first + 3) * HOP_S, label="dog")
            for first in barks
        ]

    def both(settings: PostprocessSettings) -> EvaluationSet:
        durations_s = dict.fromkeys(scores, FRAMES * HOP_S)
        return postprocessed(scores.items(), HOP_S, truth, durations_s, CLASSES, settings)

    given = PostprocessSettings(median_s=0.1)
    found = chosen_postprocess(both, given, medians_s=(0.7,), by_class=True)
    assert found.median_by_class_s == {"cat": 0.7, "dog": 0.1}
    assert event_f1(both(found)).value == 1.0
    fixed = replace(given, median_by_class_s={"dog": 0.7})
    found = chosen_postprocess(both, fixed, medians_s=(0.7,), by_class=True)
    assert found.median_by_class_s["dog"] == 0.7


def test_boxes_of_the_published_grid() -> None:
    given = PostprocessSettings(method="boxes")
    found = chosen_postprocess(processed, given, boxes=BOX_GRID)
    assert len(BOX_GRID) == 18 and found.boxes in BOX_GRID
    values = [psds(processed(replace(given, boxes=one)), PSDS1).value for one in BOX_GRID]
    assert psds(processed(found), PSDS1).value == max(values)
    assert len(set(values)) > 1


def test_each_class_gets_the_boxes_that_suit_it() -> None:
    """Cats drop out to half their score within an event; between two dogs it is the same."""
    scores, truth = {}, {}
    for clip in range(8):
        frames = np.full((FRAMES, 3), 0.01, np.float32)
        frames[20 + clip : 40 + clip] = frames[60 + clip : 80 + clip] = 0.8
        frames[40 + clip : 60 + clip] = 0.4
        scores[str(clip)] = frames
        begin_s = (20 + clip) * HOP_S
        truth[str(clip)] = [
            Event(onset_s=begin_s, offset_s=begin_s + 6.0, label="cat"),
            Event(onset_s=begin_s, offset_s=begin_s + 2.0, label="dog"),
            Event(onset_s=begin_s + 4.0, offset_s=begin_s + 6.0, label="dog"),
        ]

    def both(settings: PostprocessSettings) -> EvaluationSet:
        durations_s = dict.fromkeys(scores, FRAMES * HOP_S)
        return postprocessed(scores.items(), HOP_S, truth, durations_s, CLASSES, settings)

    given = PostprocessSettings(method="boxes", boxes=BoxSettings(step_s=0.3))
    for metric in ("psds1", "event_f1"):
        one = chosen_postprocess(both, given, boxes=BOX_GRID, metric=metric)
        assert one.boxes_by_class == {} and event_f1(both(one)).value < 1.0
        found = chosen_postprocess(both, given, boxes=BOX_GRID, metric=metric, by_class=True)
        # Of owls there is nothing to choose by.
        assert found.boxes_by_class.keys() == {"cat", "dog"}
        assert found.boxes_by_class["cat"] != found.boxes_by_class["dog"]
        assert event_f1(both(found)).value == 1.0
        assert psds(both(found), PSDS1).value == pytest.approx(1.0)
    assert from_json(PostprocessSettings, json.loads(json.dumps(to_json(found)))) == found
    assert "dog: step" in found.in_words
    fixed = replace(given, boxes_by_class={"dog": BoxSettings(step_s=9.0)})
    found = chosen_postprocess(both, fixed, boxes=BOX_GRID, by_class=True)
    assert found.boxes_by_class["dog"] == BoxSettings(step_s=9.0)


def test_of_equal_windows_the_nearest_to_the_given_one_is_taken() -> None:
    """Without any event above another's scores each window is worth the same."""

    def worthless(settings: PostprocessSettings) -> EvaluationSet:
        zeros = {clip: np.zeros_like(scores) for clip, scores in SCORES.items()}
        durations_s = dict.fromkeys(SCORES, FRAMES * HOP_S)
        return postprocessed(zeros.items(), HOP_S, TRUTH, durations_s, CLASSES, settings)

    given = PostprocessSettings(median_s=0.4)
    assert chosen_postprocess(worthless, given, medians_s=(0.1, 0.3, 1.0)) == given


def test_events_end_with_their_clip() -> None:
    settings = PostprocessSettings(median_s=0.0)
    clips = processed(settings, length_s=9.95)
    assert clips.edges_s("0")[-2:].tolist() == pytest.approx([9.9, 9.95])
    # A frame wholly behind the clip is nothing that could be cut.
    clips = processed(settings, length_s=9.9)
    assert clips.edges_s("0")[-1] == pytest.approx(10.0)
