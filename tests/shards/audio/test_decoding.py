import io
import math
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from shards.audio.decoding import (
    AudioError,
    blocks,
    decode,
    fits_16_bits,
    probe,
    resample,
    steps_16_bits,
)
from shards.audio.encoding import encode, encode_to

RATE_HZ = 16_000


def sound(seconds=1.0, rate_hz=RATE_HZ, channels=1):
    rng = np.random.default_rng(0)
    return (0.2 * rng.standard_normal((round(seconds * rate_hz), channels))).astype(np.float32)


def file_bytes(samples, rate_hz=RATE_HZ, kind="WAV", subtype=None):
    buffer = io.BytesIO()
    sf.write(buffer, samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def one_line(error):
    message = str(error.value)
    return "\n" not in message and "clip.x" in message


@pytest.mark.parametrize(
    ("kind", "codec"), [("WAV", "wav"), ("WAVEX", "wav"), ("RF64", "wav"), ("FLAC", "flac")]
)
def test_lossless_files_come_back_as_the_mean_of_their_channels(kind, codec):
    samples = sound(channels=3)
    data = file_bytes(samples, kind=kind, subtype="PCM_24")
    info = probe(data, "clip.x")
    assert (info.codec, info.sample_rate_hz, info.num_samples, info.channels) == (
        codec, RATE_HZ, RATE_HZ, 3,
    )  # fmt: skip
    decoded = decode(data, "clip.x")
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, samples.mean(axis=1), atol=2**-22)


@pytest.mark.parametrize(("kind", "rate_hz"), [("OGG", 44_100), ("MP3", 44_100)])
def test_lossy_files_have_the_length_of_their_header(kind, rate_hz):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    data = file_bytes(tone, rate_hz, kind)
    assert probe(data, "clip.x").codec == kind.lower()
    decoded = decode(data, "clip.x")
    assert len(decoded) == probe(data, "clip.x").num_samples == rate_hz
    assert np.corrcoef(decoded, tone)[0, 1] > 0.99


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("codec", ["flac", "wav"])
def test_encoding_rounds_to_the_nearest_step_and_clips(codec, bits):
    samples = np.append(sound(0.1)[:, 0], [1.5, -1.5, 1.0]).astype(np.float32)
    data = encode(samples, RATE_HZ, codec, bits)
    assert data == encode(samples, RATE_HZ, codec, bits)
    step = 2.0 ** (1 - bits)
    np.testing.assert_allclose(decode(data, "clip.x"), samples.clip(-1, 1 - step), atol=step / 2)


def test_a_wav_is_what_the_standard_library_reads():
    samples = sound(0.1)[:, 0]
    with wave.open(io.BytesIO(encode(samples, 8_000, "wav"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8_000, 1, 2)
        steps = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    np.testing.assert_array_equal(steps, np.rint(samples.astype(np.float64) * 32768))


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((2, 2)), np.array([0.0, np.nan])])
def test_encoding_refuses_what_is_no_waveform(bad):
    with pytest.raises(AudioError, match="expected"):
        encode(bad, RATE_HZ, "flac")


def test_flac_refuses_a_rate_that_it_cannot_hold():
    with pytest.raises(AudioError, match="flac cannot hold 16 bits at 900000 Hz"):
        encode(np.zeros(10, np.float32), 900_000, "flac")


def test_resampling_agrees_with_scipy_on_a_tone():
    times = np.arange(44_100) / 44_100
    tone = np.sin(2 * np.pi * 1000 * times).astype(np.float32)
    ours, peer = resample(tone, 44_100, 32_000), resample_poly(tone, 320, 441)
    assert len(ours) == 32_000
    np.testing.assert_allclose(ours[500:-500], peer[500:32_000 - 500], atol=2e-3)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    from_hz=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    to_hz=st.sampled_from([8_000, 16_000, 32_000]),
    count=st.integers(10, 200_000),
    channels=st.integers(1, 3),
    block_s=st.floats(0.001, 5.0),
)
def test_blocks_joined_are_the_decoded_file(from_hz, to_hz, count, channels, block_s):
    samples = np.random.default_rng(count).uniform(-0.5, 0.5, (count, channels))
    data = file_bytes(samples, from_hz)
    parts = list(blocks(io.BytesIO(data), "clip.x", sample_rate_hz=to_hz, block_s=block_s))
    size = round(block_s * to_hz)
    assert all(len(part) == size for part in parts[:-1])
    assert 0 < len(parts[-1]) <= size
    whole = decode(data, "clip.x", sample_rate_hz=to_hz)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_blocks_read_a_path_little_by_little(tmp_path):
    path = tmp_path / "long.flac"
    path.write_bytes(file_bytes(sound(60, 8_000), 8_000, "FLAC"))
    stream = blocks(path, "long.flac", sample_rate_hz=RATE_HZ, block_s=1.0)
    assert len(next(stream)) == RATE_HZ
    assert sum(map(len, stream)) == 59 * RATE_HZ
    with pytest.raises(FileNotFoundError):
        next(blocks(tmp_path / "absent.wav", "absent.wav", sample_rate_hz=RATE_HZ, block_s=1.0))


@pytest.mark.parametrize("kind", ["WAV", "RF64", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.97])
def test_a_file_cut_short_is_an_error_wherever_it_is_cut(kind, share):
    data = file_bytes(sound(3, 44_100), 44_100, kind)
    cut = data[: int(len(data) * share)]
    with pytest.raises(AudioError) as error:
        decode(cut, "clip.x")
    assert one_line(error)
    with pytest.raises(AudioError):
        list(blocks(io.BytesIO(cut), "clip.x", sample_rate_hz=8_000, block_s=1))


def test_a_wav_written_into_a_pipe_has_no_promised_length():
    data = bytearray(encode(sound(0.5)[:, 0], RATE_HZ, "wav"))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert probe(bytes(data), "clip.x").num_samples == RATE_HZ // 2
    assert len(decode(bytes(data), "clip.x")) == RATE_HZ // 2


@pytest.mark.parametrize("size", [5, 500, 20_000])
def test_damage_in_the_middle_of_a_flac_is_an_error(size):
    data = bytearray(file_bytes(sound(3, 44_100), 44_100, "FLAC"))
    data[len(data) // 2 : len(data) // 2 + size] = bytes(size)
    with pytest.raises(AudioError, match=r"(broken|damaged) after \d"):
        decode(bytes(data), "clip.x")


def test_an_ogg_that_ends_between_two_pages_is_an_error():
    data = file_bytes(sound(3, 44_100), 44_100, "OGG")
    assert len(decode(data, "clip.x")) == 3 * 44_100
    with pytest.raises(AudioError, match="not marked as the last"):
        decode(data[: data.rindex(b"OggS")], "clip.x")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is no audio at all, but a sentence", "cannot be read as audio"),
        (file_bytes(np.zeros((0, 1)), kind="WAV"), "zero samples"),
        (file_bytes(np.array([0, np.nan, 0]), subtype="FLOAT"), "NaN or infinite"),
        (file_bytes(np.array([0, np.inf, 0]), subtype="FLOAT"), "NaN or infinite"),
        (file_bytes(sound(0.1), rate_hz=7), "sample rate of 7 Hz"),
    ],
)
def test_unusable_audio_is_a_one_line_error_with_its_name(data, reason):
    with pytest.raises(AudioError, match=reason) as error:
        decode(data, "clip.x")
    assert one_line(error)


def test_a_clip_too_short_for_the_rate_is_an_error():
    with pytest.raises(AudioError, match="less than one sample"):
        decode(encode(np.ones(2, np.float32) / 2, 48_000, "wav"), "clip.x", sample_rate_hz=8_000)
    with pytest.raises(AudioError, match="expected one sample or more"):
        list(blocks(io.BytesIO(b"x"), "clip.x", sample_rate_hz=8_000, block_s=0.0))


def test_real_recordings_decode_as_they_are_listed(shared_dir):
    files = sorted((shared_dir / "data/esc10/audio/dog_bark").glob("*.ogg"))[:5]
    files += sorted(Path(shared_dir, "data/tut_rare_sample").rglob("*.flac"))[:2]
    assert len(files) == 7
    for path in files:
        info = probe(path.read_bytes(), path.name)
        samples = decode(path.read_bytes(), path.name, sample_rate_hz=32_000)
        assert math.isclose(
            len(samples) / 32_000, info.num_samples / info.sample_rate_hz, abs_tol=1e-4
        )


@pytest.mark.parametrize("codec", ["flac", "wav"])
def test_encoding_in_parts_gives_the_same_bytes(codec):
    samples = sound(2)[:, 0]
    for bits in (16, 24):
        buffer = io.BytesIO()
        parts = np.array_split(samples, [1, 5000, 5000, 17_000])
        assert encode_to(buffer, parts, RATE_HZ, codec, bits) == len(samples)
        assert buffer.getvalue() == encode(samples, RATE_HZ, codec, bits)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16"])
def test_integers_are_encoded_as_the_floats_they_stand_for(subtype):
    file = io.BytesIO()
    sf.write(file, sound(3.0)[:, 0], RATE_HZ, subtype, format="WAV")
    assert fits_16_bits(file, "short")
    steps = np.concatenate(list(steps_16_bits(file, "short")))
    np.testing.assert_array_equal(steps / np.float32(1 << 15), decode(file.getvalue(), "short"))
    for bits in (16, 24):
        out = io.BytesIO()
        encode_to(out, [steps], RATE_HZ, "flac", bits)
        assert out.getvalue() == encode(decode(file.getvalue(), "short"), RATE_HZ, "flac", bits)
    with pytest.raises(AudioError, match="truncated"):
        list(steps_16_bits(io.BytesIO(file.getvalue()[:-9000]), "short"))


def test_a_wav_that_would_exceed_4_gib_is_an_error(monkeypatch):
    monkeypatch.setattr("shards.audio.encoding.WAV_MAX_BYTES", 20_000)
    encode_to(io.BytesIO(), [np.zeros(10_000)], RATE_HZ, "wav")
    with pytest.raises(AudioError, match="long: got more samples than a WAV file can hold"):
        encode_to(io.BytesIO(), [np.zeros(10_000), np.zeros(1)], RATE_HZ, "wav", name="long")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("codec", ["flac", "wav"])
def test_a_full_disk_is_no_fault_of_the_audio(codec):
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):  # noqa: PTH123
        encode_to(full, [sound(3)[:, 0]], RATE_HZ, codec)


@pytest.mark.parametrize(("missing", "is_whole"), [(0, True), (1 << 20, False)])
def test_a_wav_of_3_gib_that_was_cut_short_is_an_error(tmp_path, missing, is_whole):
    header = bytearray(encode(sound(0.1)[:, 0], RATE_HZ, "wav")[:44])
    header[40:44] = (3 << 30).to_bytes(4, "little")
    header[4:8] = ((3 << 30) + 36).to_bytes(4, "little")
    with (tmp_path / "sparse.wav").open("w+b") as file:
        file.write(header)
        file.truncate(44 + (3 << 30) - missing)
        if is_whole:
            assert probe(file, "clip.x").num_samples == 3 << 29
        else:
            with pytest.raises(AudioError, match="1048576 bytes fewer than its header promises"):
                probe(file, "clip.x")
