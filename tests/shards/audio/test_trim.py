import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.audio.decoding import AudioError, decode
from shards.audio.trim import parts_of_at_least, short_time_power, trim_by_energy

RATE_HZ = 16_000
TOLERANCE_S = 0.035  # a frame and the margin


def bursts(spans_s, total_s, floor=0.0, seed=0):
    rng = np.random.default_rng(seed)
    samples = floor * rng.standard_normal(round(total_s * RATE_HZ))
    for start, stop in spans_s:
        part = slice(round(start * RATE_HZ), round(stop * RATE_HZ))
        samples[part] += 0.3 * rng.standard_normal(part.stop - part.start)
    return samples.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.floats(0.06, 0.8), st.floats(0.4, 0.9)), min_size=1, max_size=4),
    floor=st.sampled_from([0.0, 1e-4, 3e-3]),
    seed=st.integers(0, 99),
)
def test_bursts_are_found_where_they_were_put(lengths, floor, seed):
    spans, at = [], 0.0
    for length, pause in lengths:
        spans.append((at + pause, at + pause + length))
        at = spans[-1][1]
    found = trim_by_energy(bursts(spans, at + 0.5, floor, seed), RATE_HZ, "x.wav")
    assert len(found) == len(spans)
    np.testing.assert_allclose(np.array(found) / RATE_HZ, spans, atol=TOLERANCE_S)


def test_bursts_with_short_pauses_are_one_part():
    samples = bursts([(0.5, 0.7), (0.8, 1.0), (2.0, 2.2)], 3.0)
    assert len(trim_by_energy(samples, RATE_HZ, "x.wav")) == 2
    assert len(trim_by_energy(samples, RATE_HZ, "x.wav", gap_s=1.5)) == 1


def test_quiet_parts_count_by_their_level_under_the_loudest():
    samples = bursts([(0.5, 1.0)], 3.0)
    samples[2 * RATE_HZ : round(2.5 * RATE_HZ)] = samples[RATE_HZ // 2 : RATE_HZ] * 0.03  # -30 dB
    assert len(trim_by_energy(samples, RATE_HZ, "x.wav")) == 1
    assert len(trim_by_energy(samples, RATE_HZ, "x.wav", below_peak_db=40)) == 2


def test_parts_reach_the_ends_of_a_recording_that_sounds_throughout():
    samples = bursts([(0.0, 1.003)], 1.003)
    assert trim_by_energy(samples, RATE_HZ, "x.wav") == [(0, len(samples))]


def test_power_is_the_mean_square_of_each_frame():
    samples = bursts([(0.1, 0.9)], 1.0)
    power = short_time_power(samples, RATE_HZ)
    for frame in (0, 9, 40, 98):
        part = samples[frame * 160 : frame * 160 + 320].astype(np.float64)
        assert power[frame] == pytest.approx(np.mean(part**2), abs=1e-15)


@pytest.mark.parametrize("level", [0.0, 5e-5])
def test_a_silent_recording_is_an_error_with_its_name(level):
    with pytest.raises(AudioError, match=r"^quiet\.wav: silent"):
        trim_by_energy(np.full(RATE_HZ, level, np.float32), RATE_HZ, "quiet.wav")


def test_short_parts_are_dropped_where_there_are_long_ones():
    assert parts_of_at_least([(0, 5), (10, 40), (50, 90)], 30, 100, "x", 10) == [(10, 40), (50, 90)]


@given(start=st.integers(0, 90), length=st.integers(1, 10))
def test_the_longest_short_part_is_widened_within_the_recording(start, length):
    ((low, high),) = parts_of_at_least([(start, start + length)], 30, 100, "x", 10)
    assert high - low == 30 and low >= 0 and high <= 100
    assert low <= start and start + length <= high


def test_a_recording_shorter_than_any_event_is_an_error():
    with pytest.raises(AudioError, match=r"x: lasts 2\.000 s; expected 3 s or more"):
        parts_of_at_least([(0, 20)], 30, 20, "x", 10)


def test_real_sneezes_and_roosters_are_trimmed_to_single_calls(shared_dir):
    for label, low_s, high_s in (("person_sneeze", 0.2, 1.0), ("rooster", 1.0, 3.5)):
        files = sorted((shared_dir / "data/esc10/audio" / label).glob("*.ogg"))[:15]
        longest = []
        for path in files:
            samples = decode(path.read_bytes(), path.name, sample_rate_hz=RATE_HZ)
            parts = trim_by_energy(samples, RATE_HZ, path.name)
            longest.append(max(stop - start for start, stop in parts) / RATE_HZ)
        assert low_s <= np.median(longest) <= high_s
        assert np.mean(np.array(longest) < 4.5) > 0.9  # not the whole five seconds
