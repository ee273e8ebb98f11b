"""A stream in any blocks gives what the whole at once gives."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pmam.events.decoding import decode
from pmam.events.event import Event
from pmam.events.median_filter import max_filter_frames, median_filter_frames
from pmam.events.postprocessing import smooth
from pmam.events.settings import BoxSettings, PostprocessSettings
from pmam.events.streaming import detected, runs, smoothed

CLASSES = ("a", "b", "c")


@st.composite
def scores_in_blocks(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray]]:
    """Scores `(frames, 3)` with ties, and the same cut at random places, some blocks empty."""
    frames = draw(st.integers(1, 60))
    seed = draw(st.integers(0, 10_000))
    scores = np.random.default_rng(seed).integers(0, 6, (frames, 3)).astype(np.float32) / 5
    cuts = sorted(draw(st.lists(st.integers(0, frames), max_size=8)))
    return scores, np.split(scores, cuts)


@given(
    scores_in_blocks(),
    st.lists(st.sampled_from([1, 2, 3, 4, 5, 9, 12, 31]), min_size=3, max_size=3),
    st.booleans(),
)
def test_smoothing_a_stream_is_smoothing_the_whole(
    given_scores: tuple[np.ndarray, list[np.ndarray]], sizes: list[int], maximum: bool
) -> None:
    scores, blocks = given_scores
    streamed = np.concatenate(list(smoothed(blocks, sizes, maximum=maximum)))
    whole = max_filter_frames if maximum else median_filter_frames
    np.testing.assert_array_equal(streamed, whole(scores, sizes))


@given(scores_in_blocks(), st.sampled_from([0.0, 0.2, 0.5, 0.99]))
def test_runs_of_a_stream_are_the_events_of_the_whole(
    given_scores: tuple[np.ndarray, list[np.ndarray]], threshold: float
) -> None:
    scores, blocks = given_scores
    found = list(runs(blocks, threshold))
    events = sorted(
        Event(onset_s=run.first * 0.25, offset_s=run.end * 0.25, label=CLASSES[run.column])
        for run in found
    )
    assert events == decode(scores, CLASSES, 0.25, threshold=threshold)
    for run in found:
        assert run.peak == scores[run.first : run.end, run.column].max()


def test_a_run_comes_as_soon_as_it_ends() -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield np.array([[0.1], [0.9]])
        yield np.array([[0.8], [0.2]])
        raise AssertionError("the third block was not needed yet")

    first = next(runs(blocks(), 0.5))
    assert (first.column, first.first, first.end, first.peak) == (0, 1, 3, 0.9)


def test_smoothing_holds_no_more_than_the_filter_needs() -> None:
    taken = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(1000):
            taken += 10
            yield np.random.default_rng(taken).random((10, 2), dtype=np.float32)

    given_out = 0
    for block in smoothed(blocks(), [7, 3]):
        given_out += len(block)
        assert taken - given_out <= 3 or given_out == 10_000
    assert given_out == 10_000


@given(
    scores_in_blocks(),
    st.builds(
        PostprocessSettings,
        method=st.sampled_from(["median", "max", "boxes"]),
        median_s=st.sampled_from([0.0, 0.5, 1.25]),
        median_by_class_s=st.dictionaries(st.sampled_from(CLASSES), st.floats(0.0, 3.0)),
        odd_windows=st.booleans(),
        clip_mask=st.booleans(),
        boxes=st.builds(BoxSettings, step_s=st.sampled_from([0.5, 1.0])),
        threshold=st.sampled_from([0.0, 0.1, 0.4, 0.7]),
        threshold_by_class=st.dictionaries(st.sampled_from(CLASSES), st.floats(0.0, 0.99)),
    ),
)
def test_events_of_a_stream_are_those_of_the_whole(
    given_scores: tuple[np.ndarray, list[np.ndarray]], settings: PostprocessSettings
) -> None:
    scores, blocks = given_scores
    found = sorted(
        Event(onset_s=run.first * 0.25, offset_s=run.end * 0.25, label=CLASSES[run.column])
        for run in detected(blocks, CLASSES, 0.25, settings)
    )
    whole = smooth(scores, None, CLASSES, 0.25, settings)
    limits = [settings.threshold_by_class.get(name, settings.threshold) for name in CLASSES]
    assert found == decode(whole, CLASSES, 0.25, threshold=limits)
