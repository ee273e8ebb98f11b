import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soundscape_cases import BACKGROUNDS, FOREGROUNDS, RATE_HZ, SETTINGS, clips

from shards.audio.decoding import AudioError
from shards.soundscapes.plan import (
    SAME_CLASS_GAP_S,
    free_onsets,
    plan,
    trim_background,
    trim_foreground,
)
from shards.soundscapes.recordings import Recording
from shards.soundscapes.scene import Soundscape, SoundscapeError


def spans(clip):
    return [(e.onset_sample, e.onset_sample + e.num_samples, e.label) for e in clip.events]


setting_changes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1 << 40),
        "duration_s": st.floats(5.0, 12.0),
        "events_min": st.integers(0, 3),
        "events_max": st.integers(3, 8),
        "event_max_s": st.floats(1.0, 5.0),
        "overlap": st.booleans(),
        "onsets": st.sampled_from(["uniform", "normal"]),
        "white_noise_share": st.floats(0, 1),
    }
)


@settings(max_examples=40, deadline=None)
@given(changes=setting_changes)
def test_plans_keep_to_their_settings(changes):
    asked = replace(SETTINGS, **changes)
    sounding = {trimmed.recording.name: trimmed.parts for trimmed in FOREGROUNDS}
    for clip in clips(8, **changes):
        assert len(clip.events) <= asked.events_max
        assert len(clip.events) >= min(asked.events_min, 1)
        for event in clip.events:
            assert event.onset_sample >= 0
            assert event.onset_sample + event.num_samples <= clip.num_samples
            assert asked.snr_min_db <= event.snr_db <= asked.snr_max_db
            seconds = event.num_samples / RATE_HZ
            assert asked.event_min_s <= seconds <= asked.event_max_s + 1 / RATE_HZ
            if event.label == "drone":
                assert seconds >= asked.texture_min_s - 1 / RATE_HZ
            assert any(
                start <= event.start_sample and event.start_sample + event.num_samples <= stop
                for start, stop in sounding[event.recording]
            )
        gap = SAME_CLASS_GAP_S * RATE_HZ
        for i, (_, first_stop, first_label) in enumerate(spans(clip)):
            for start, _, label in spans(clip)[i + 1 :]:
                if label == first_label:
                    assert start >= first_stop + gap
                elif not asked.overlap:
                    assert start >= first_stop


@pytest.mark.parametrize("overlap", [True, False])
def test_the_number_of_events_is_uniform_and_overlaps_occur_when_allowed(overlap):
    plans = clips(400, events_max=3, event_max_s=2.0, overlap=overlap)
    counts = np.bincount([len(clip.events) for clip in plans], minlength=4)
    assert counts[0] == 0 and min(counts[1:]) > 90
    overlapping = sum(
        later[0] < earlier[1]
        for clip in plans
        for earlier, later in zip(spans(clip), spans(clip)[1:], strict=False)
    )
    assert (overlapping > 50) == overlap


def test_draws_are_spread_over_their_ranges():
    plans = clips(600)
    levels = [clip.background.level_dbfs for clip in plans]
    snrs = [event.snr_db for clip in plans for event in clip.events]
    assert np.percentile(levels, [1, 50, 99]) == pytest.approx([-44.9, -39, -33.1], abs=0.8)
    assert np.percentile(snrs, [1, 50, 99]) == pytest.approx([0.15, 7.5, 14.85], abs=0.8)
    noise_share = np.mean([clip.background.recording is None for clip in plans])
    assert noise_share == pytest.approx(0.25, abs=0.06)
    labels = [event.label for clip in plans for event in clip.events]
    assert all(labels.count(label) > len(labels) / 4.5 for label in ("bark", "drone", "click"))
    textures = [e.num_samples / RATE_HZ for c in plans for e in c.events if e.label == "drone"]
    assert np.percentile(textures, [2, 50, 98]) == pytest.approx([1.1, 3, 4.9], abs=0.4)


def test_normal_onsets_gather_in_the_middle():
    def spread(onsets):
        plans = clips(300, onsets=onsets, events_max=1)
        return np.std([event.onset_sample / RATE_HZ for clip in plans for event in clip.events])

    assert spread("normal") == pytest.approx(10 / 6, abs=0.35)
    assert spread("uniform") > 2


@given(
    total=st.integers(1, 40),
    length=st.integers(1, 40),
    taken=st.lists(st.tuples(st.integers(-5, 45), st.integers(0, 12)), max_size=4),
)
def test_free_onsets_are_those_that_touch_no_taken_sample(total, length, taken):
    taken = [(start, start + size) for start, size in taken]
    occupied = {sample for start, stop in taken for sample in range(start, stop)}
    taken = [span for span in taken if span[1] > span[0]]
    expected = [
        onset
        for onset in range(total - length + 1)
        if not occupied & set(range(onset, onset + length))
    ]
    found = [o for low, high in free_onsets(total, length, taken) for o in range(low, high)]
    assert found == expected


def test_a_clip_depends_on_no_other_clip_and_on_no_order():
    assert clips(3) == clips(12)[:3]
    shuffled = plan(SETTINGS, "strong", 3, FOREGROUNDS[::-1], BACKGROUNDS[::-1])
    assert shuffled == clips(3)
    assert plan(SETTINGS, "weak", 3, FOREGROUNDS, BACKGROUNDS)[0].events != clips(3)[0].events
    assert clips(3, seed=1) != clips(3)


def test_a_plan_survives_json():
    for clip in clips(5):
        line = clip.to_json()
        assert "\n" not in line and json.loads(line)["id"] == clip.id
        assert Soundscape.from_json(line) == clip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"event_max_s": 11.0}, "event_max_s and duration_s: got 11.0 and 10.0"),
        ({"snr_min_db": 20.0}, "snr_db: got 20.0 and 15.0"),
        ({"snr_max_db": float("nan")}, "snr_db"),
        ({"events_min": 5}, "events: got 5 and 4"),
        ({"events_min": -1}, "expected 0 or more"),
        ({"event_min_s": 0.0}, "event_min_s: got 0.0"),
        ({"event_min_s": 6.0}, "event_s: got 6.0 and 5.0"),
        ({"texture_min_s": 6.0}, "texture_min_s and event_max_s"),
        ({"background_max_dbfs": 3.0}, "full scale"),
        ({"white_noise_share": 1.5}, "white_noise_share: got 1.5"),
        ({"onsets": "early"}, "onsets: got 'early'"),
        ({"sample_rate_hz": 0}, "sample_rate_hz: got 0"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_settings_are_one_line_errors(changes, reason):
    with pytest.raises(SoundscapeError, match=reason) as error:
        replace(SETTINGS, **changes)
    assert "\n" not in str(error.value)


def test_a_silent_recording_is_named():
    silent = Recording(name="f/dog/1.wav", label="dog", source="1")
    for trim in (trim_foreground, trim_background):
        with pytest.raises(AudioError, match=r"f/dog/1\.wav: silent"):
            trim(SETTINGS, silent, lambda name: np.zeros(RATE_HZ, np.float32))
