"""WAV files whose sizes are wrong: all of their sound is read, or they are refused."""

import struct

import numpy as np
import pytest
from sound_files import encoded, length, noise, with_wav_size

from shards.audio import AudioError, blocks, decode, probe

RATE_HZ = 16_000
SOUND = noise(3.0)
WAV = encoded(SOUND)
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 13) + b"a recorder 1\0\0"


@pytest.mark.parametrize("said", [0, 2, 48_000, 0xFFFFFFFF, 0x7FFFF000, 0xFFFFFFFE])
@pytest.mark.parametrize("kind", ["WAV", "RF64", "RIFX"])
def test_a_wav_whose_size_was_never_brought_up_to_date(said: int, kind: str) -> None:
    data = WAV
    if kind == "RF64":
        data = encoded(SOUND, kind="RF64")
        place = data.index(b"ds64") + 8
        data = data[: place + 8] + struct.pack("<Q", said) + data[place + 16 :]
        if said > 48_000:
            pytest.skip("no such size in 64 bits stands for none")
    elif kind == "RIFX":
        data = by_samples_big_endian(said)
    else:
        data = with_wav_size(WAV, said)
    assert length(data) == len(SOUND)
    samples = decode(data, "clip.x")
    np.testing.assert_array_equal(samples, decode(WAV, "clip.x"))


def by_samples_big_endian(said: int) -> bytes:
    steps = np.rint(decode(WAV, "clip.x") * 32768).astype(">i2").tobytes()
    form = struct.pack(">HHIIHH", 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
    size = struct.pack(">I", said)
    return b"RIFX" + bytes(4) + b"WAVEfmt " + struct.pack(">I", 16) + form + b"data" + size + steps


@pytest.mark.parametrize("tail", [b"", LIST, b"TAG" + bytes(125), b"id3 \x00\x01\x00\x00cut"])
def test_what_lies_behind_the_samples_of_a_wav_is_no_sound(tail: bytes) -> None:
    assert length(WAV + tail) == len(SOUND)
    odd = encoded(noise(801 / 8_000, 8_000), 8_000, subtype="PCM_U8")
    assert len(odd) == 44 + 802  # padded
    assert length(odd + tail) == 801
    assert length(odd[:-1] + tail) == 801  # by a program that does not pad


def test_an_empty_wav_says_so_and_is_not_to_be_removed() -> None:
    for tail in (b"", LIST):
        with pytest.raises(AudioError, match="holds zero samples") as error:
            decode(encoded(np.zeros((0, 1))) + tail, "clip.x")
        assert "remove" not in str(error.value)


def test_wavs_that_were_joined_are_read_to_the_end() -> None:
    other = encoded(noise(1.0, seed=1))
    assert length(WAV + other + WAV) == 2 * len(SOUND) + RATE_HZ
    with pytest.raises(AudioError, match=rf"from byte {len(WAV) + 44} on, 8000 Hz and 1"):
        decode(WAV + encoded(noise(1.0, 8_000), 8_000), "clip.x")


def test_a_wav_over_4_gib_whose_size_wrapped_round(tmp_path) -> None:
    size = (1 << 32) + 16_000
    header = with_wav_size(WAV[:44], size, riff=size + 36 & 0xFFFFFFFF)
    with (tmp_path / "sparse.wav").open("w+b") as file:
        file.write(header)
        file.truncate(44 + size)
        assert probe(file, "clip.x").num_samples == size // 2
        file.seek(44 + size)
        file.write(LIST)
        assert probe(file, "clip.x").num_samples == size // 2
        read = blocks(file, "clip.x", sample_rate_hz=RATE_HZ, block_s=60)
        assert len(next(read)) == 60 * RATE_HZ
