"""Small sets of clips and settings, drawn at random, to test PSDS on."""

import numpy as np
from hypothesis import strategies as st

from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic.psds import PSDSSettings

CLASSES = ["cat", "dog", "tap"]


@st.composite
def evaluation_sets(draw: st.DrawFn) -> EvaluationSet:
    """Small sets on purpose: few distinct scores (ties), times on and off the frame borders."""
    hop_s = draw(st.sampled_from([0.1, 0.25, 0.3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 4, 1000]))
    on_borders = draw(st.booleans())
    scores, truth, durations = {}, {}, {}
    for index in range(draw(st.integers(1, 6))):
        frames = int(rng.integers(1, 25))
        scores[f"clip{index}"] = np.round(rng.random((frames, 3)) * levels) / levels
        durations[f"clip{index}"] = frames * hop_s
        truth[f"clip{index}"] = random_events(rng, frames, hop_s, on_borders)
    # Every class has an event and a false positive: sed_scores_eval fails without.
    scores["silence"], truth["silence"], durations["silence"] = np.full((2, 3), 0.5), [], 2 * hop_s
    truth["clip0"] += [
        Event(onset_s=0.0, offset_s=1.7, label=name)
        for name in CLASSES
        if not any(event.label == name for events in truth.values() for event in events)
    ]
    return EvaluationSet(
        scores=scores, hop_s=hop_s, ground_truth=truth, durations_s=durations, classes=CLASSES
    )


def random_events(
    rng: np.random.Generator, frames: int, hop_s: float, on_borders: bool
) -> list[Event]:
    """Events that do not touch others of their class; some reach past the end of the clip."""
    events = []
    for label in CLASSES:
        time_s = 0.0
        for _ in range(int(rng.integers(0, 4))):
            onset, length = rng.uniform(0, 1.0), rng.uniform(0.05, 1.5)
            if on_borders:
                onset, length = hop_s * rng.integers(0, 4), hop_s * rng.integers(1, 6)
            onset_s = round(float(time_s + onset + 0.01 * (time_s > 0)), 3)
            offset_s = round(float(onset_s + length), 3)
            if onset_s >= frames * hop_s:
                break
            events.append(Event(onset_s=onset_s, offset_s=offset_s, label=label))
            time_s = offset_s
    return events


def realistic(clips: int, seed: int) -> EvaluationSet:
    """Ten-second clips of 156 frames and 10 classes, with scores that follow the events."""
    rng = np.random.default_rng(seed)
    classes = [f"class{index}" for index in range(10)]
    centre_s = (np.arange(156) + 0.5) * 10 / 156
    scores, truth = {}, {}
    for index in range(clips):
        logits = np.cumsum(rng.standard_normal((156, 10)), axis=0) * 0.4 - 3
        events = []
        for column in rng.choice(10, size=rng.integers(0, 5), replace=False):
            onset_s = round(float(rng.uniform(0, 9)), 3)
            offset_s = round(onset_s + float(rng.uniform(0.25, 4)), 3)
            events.append(Event(onset_s=onset_s, offset_s=offset_s, label=classes[column]))
            logits[(centre_s > onset_s) & (centre_s < offset_s), column] += 8
        truth[f"clip{index:04d}"] = events
        scores[f"clip{index:04d}"] = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return EvaluationSet(
        scores=scores,
        hop_s=10 / 156,
        ground_truth=truth,
        durations_s=dict.fromkeys(scores, 10.0),
        classes=classes,
    )


all_settings = st.builds(
    PSDSSettings,
    dtc=st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    gtc=st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    cttc=st.sampled_from([0.3, 0.5, 1.0]),
    alpha_ct=st.sampled_from([0.0, 0.5, 1.0]),
    alpha_st=st.sampled_from([0.0, 0.5, 1.0]),
    e_max=st.sampled_from([100.0, 2000.0, 20000.0]),
)
