"""From channels to mono: which is taken, and a word where they cancel each other."""

import io
from pathlib import Path

import numpy as np
import pytest
from foreign_cases import write_tar
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from packing import pack
from sound_files import encoded, noise

from shards.audio import channels
from shards.audio.channel_choice import Channel
from shards.audio.channels import CHANNELS, ChannelMeter, channel_notes, each_name
from shards.audio.decoding import AudioError, blocks, decode
from shards.clip import Clip
from shards.editing.foreign import ForeignSettings, index_shard
from shards.repair import verify

RATE_HZ = 16_000
LEFT = noise(1.0, seed=1)[:, 0]
RIGHT = 0.5 * noise(1.0, seed=2)[:, 0]
STEREO = encoded(np.stack([LEFT, RIGHT], axis=1), subtype="FLOAT")


def mono(data: bytes, channel: Channel | int, meter: ChannelMeter | None = None) -> np.ndarray:
    parts = blocks(
        io.BytesIO(data), "x", sample_rate_hz=RATE_HZ, block_s=0.3, channel=channel, meter=meter
    )
    return np.concatenate(list(parts))


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("mean", (LEFT + RIGHT) / 2), ("left", LEFT), ("right", RIGHT), ("loudest", LEFT)],
)
def test_what_is_taken(channel: Channel, expected: np.ndarray) -> None:
    np.testing.assert_allclose(mono(STEREO, channel), expected, atol=1e-6)


@given(
    part=hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 9), st.integers(1, 5)),
        elements=st.floats(-4, 4, width=32) | st.sampled_from([0.0, -0.0, 1e-45, -3e-45]),
    )
)
def test_the_mean_is_numpys_to_the_bit(part: np.ndarray) -> None:
    expected = part[:, 0] if part.shape[1] == 1 else part.mean(axis=1, dtype=np.float32)
    assert channels.mono(part, None).tobytes() == expected.tobytes()


def test_one_channel_is_every_choice() -> None:
    data = encoded(LEFT[:, None])
    for channel in CHANNELS:
        assert np.array_equal(mono(data, channel), decode(data, "x"))


def test_a_choice_that_is_none() -> None:
    with pytest.raises(AudioError, match="channel 'middle'; expected one of mean, left"):
        mono(STEREO, "middle")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (-LEFT, "the mean of its 2 channels is 60 dB below"),
        (-0.9 * LEFT, "26 dB below"),
        (-0.75 * LEFT, None),  # 18 dB
        (LEFT, None),
        (RIGHT, None),
        (0 * LEFT, None),  # one that was not plugged in: 6 dB
    ],
)
def test_opposite_phase_is_told(right: np.ndarray, said: str | None) -> None:
    meter = ChannelMeter()
    mono(encoded(np.stack([LEFT, right], axis=1), subtype="FLOAT"), "mean", meter)
    warning = meter.warning("x.wav")
    if said is None:
        assert warning is None
    else:
        assert warning is not None
        assert warning.startswith("x.wav: ")
        assert said in warning
        assert "--channel left, right, loudest or each" in warning


@pytest.mark.parametrize(
    ("opposite", "spans", "said"),
    [
        ([(6, 12)], ((6, 12),), "in 6 of 12 s (6-12 s): there they are of opposite phase"),
        ([(0, 1), (3, 5), (11, 11.7)], ((0, 1), (3, 5)), "in 3 of 12 s (0-1 s, 3-5 s)"),
        ([(3, 3.5)], (), None),
    ],
)
def test_opposite_phase_in_a_part_is_told_with_its_seconds(
    opposite: list[tuple[float, float]], spans: tuple[tuple[int, int], ...], said: str | None
) -> None:
    left = noise(12.0, seed=3)[:, 0]
    right = left.copy()
    for begin, end in opposite:
        right[round(begin * RATE_HZ) : round(end * RATE_HZ)] *= -1
    meter = ChannelMeter()
    mono(encoded(np.stack([left, right], axis=1), subtype="FLOAT"), "mean", meter)
    assert meter.cancelled_s == spans
    warning = meter.warning("x")
    assert (warning is None) == (said is None)
    assert said is None or (warning is not None and said in warning and "--channel" in warning)


def test_a_last_second_counts_from_its_half_on_and_dither_is_no_sound() -> None:
    for rest_s, level, spans in ((0.6, 0.1, ((2, 3),)), (0.4, 0.1, ()), (0.6, 1e-5, ())):
        left = noise(2 + rest_s, seed=4)
        left[2 * RATE_HZ :] *= level
        right = left.copy()
        right[2 * RATE_HZ :] *= -1
        meter = ChannelMeter()
        for part in np.array_split(np.concatenate([left, right], axis=1).astype("f4"), 7):
            meter.add(part, RATE_HZ)
        assert meter.cancelled_s == spans


def test_silence_and_many_channels() -> None:
    for samples, is_told in ((np.zeros((800, 2)), False), (np.eye(1, 32) * LEFT[:, None], True)):
        meter = ChannelMeter()
        mono(encoded(samples), "mean", meter)
        assert (meter.warning("x") is not None) == is_told


@pytest.mark.parametrize("codec", ["keep", "flac"])
def test_packing_tells_of_it_and_takes_another_channel(tmp_path: Path, codec: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.wav").write_bytes(encoded(np.stack([LEFT, -LEFT], axis=1)))
    (source / "b.wav").write_bytes(encoded(np.stack([LEFT, RIGHT], axis=1)))
    clips = [Clip(source_id=n, audio=f"{n}.wav", subset="unlabeled") for n in "ab"]
    _, written = pack(source, clips, tmp_path / "set", codec=codec)
    (warning,) = [warning for shard in written for warning in shard.warnings]
    assert warning.startswith("a.wav: the mean of its 2 channels is ")
    dataset, written = pack(source, clips, tmp_path / "left", codec=codec, channel="left")
    assert [warning for shard in written for warning in shard.warnings] == []
    for row in dataset.rows:
        assert (row.channels, row.num_samples) == (1, RATE_HZ)
        np.testing.assert_allclose(dataset.audio(row), LEFT, atol=1e-4)


def test_one_of_several_by_its_place() -> None:
    three = encoded(np.stack([LEFT, RIGHT, -LEFT], axis=1), subtype="FLOAT")
    assert np.array_equal(mono(three, 1), mono(encoded(RIGHT[:, None], subtype="FLOAT"), "mean"))
    with pytest.raises(AudioError, match="got channel 4 of 3"):
        mono(three, 3)
    assert [each_name(n, 2) for n in range(2)] == ["left", "right"]
    assert [each_name(n, 3) for n in range(3)] == ["ch1", "ch2", "ch3"]


def test_the_meter_is_numpys_in_double_precision() -> None:
    part = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32) * [0.1, 0.02, 0.1]
    part[:, 2] = -0.98 * part[:, 0]
    meter = ChannelMeter()
    for block in np.split(part.astype(np.float32), [7, 3000]):
        meter.add(block, 2000)
    wide = part.astype(np.float64)
    expected = 10 * np.log10((wide**2).mean(axis=0).max() / (wide.mean(axis=1) ** 2).mean())
    assert meter.mean_below_db == pytest.approx(expected, abs=0.01)
    assert meter.loudest == 0


def test_verify_and_indexing_tell_of_it_and_count_no_problem(tmp_path: Path) -> None:
    cancelled = encoded(np.stack([LEFT, -LEFT], axis=1))
    (tmp_path / "a.wav").write_bytes(cancelled)
    dataset, _ = pack(
        tmp_path, [Clip(source_id="a", audio="a.wav", subset="unlabeled")], tmp_path / "set"
    )
    report = verify(dataset.store)
    assert report.ok
    (warning,) = report.warnings
    assert str(warning).startswith("warning: shards/") and "dB below the loudest" in str(warning)
    assert verify(dataset.store, "none").warnings == ()
    members = [("a.wav", cancelled), ("b.wav", encoded(LEFT[:, None])), ("c.wav", STEREO)]
    path = write_tar(tmp_path / "x.tar", members)
    with path.open("rb") as file:
        shard = index_shard(file, "x.tar", "shards/x.tar", ForeignSettings())
    (said,) = shard.warnings
    assert said.startswith("x.tar/a.wav: the mean of its 2 channels is 60 dB below")
    assert channel_notes(shard.warnings) == [said] and channel_notes(()) == []
