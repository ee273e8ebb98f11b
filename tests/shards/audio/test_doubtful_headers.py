"""Headers that a flipped bit makes say what cannot be: nothing is taken away for their sake."""

import struct

import pytest
from sound_files import encoded, length, noise

from shards.audio import AudioError, decode, measured
from shards.audio.containers.mp3_info import TRIM_PLAUSIBLE

RATE_HZ = 16_000
SOUND = noise(1.5)
MP3 = encoded(SOUND, kind="MP3")
NOTE = MP3.index(b"LAME")
TRIM_AT, CRC_AT = NOTE + 21, NOTE + 34


def with_trim(delay: int, padding: int) -> bytes:
    """The MP3 with other numbers of samples to take away at its ends."""
    return MP3[:TRIM_AT] + (delay << 12 | padding).to_bytes(3, "big") + MP3[TRIM_AT + 3 :]


def crc16(data: bytes) -> int:
    """CRC-16/ARC, by shifting."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value


def test_what_lame_notes_is_taken_away() -> None:
    assert length(MP3) == len(SOUND)
    assert length(with_trim(0, 0)) > len(SOUND)
    assert length(with_trim(1000, TRIM_PLAUSIBLE)) < len(SOUND)


@pytest.mark.parametrize(("delay", "padding"), [(4095, 4095), (0, 4095), (TRIM_PLAUSIBLE + 1, 576)])
def test_more_than_any_encoder_adds_is_kept(delay: int, padding: int) -> None:
    changed = with_trim(delay, padding)
    assert length(changed) == len(decode(changed, "clip.x")) >= len(SOUND)


def test_a_note_with_its_own_checksum_is_believed() -> None:
    changed = with_trim(1105, 3000)
    sealed = changed[:CRC_AT] + crc16(changed[:CRC_AT]).to_bytes(2, "big") + changed[CRC_AT + 2 :]
    assert length(changed) >= len(SOUND)
    assert length(sealed) < len(SOUND)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 655_350])
def test_a_flac_whose_header_has_another_rate_than_its_frames(rate_hz: int) -> None:
    data = encoded(SOUND, kind="FLAC")
    rest = int.from_bytes(data[18:26], "big")
    changed = data[:18] + (rest & (1 << 44) - 1 | rate_hz << 44).to_bytes(8, "big") + data[26:]
    with pytest.raises(AudioError, match=f"header says {rate_hz} Hz and 1 channels, its frames 16"):
        length(changed)
    joined = data + changed
    with pytest.raises(AudioError, match=f"at byte {len(data)} .its header says {rate_hz} Hz"):
        length(joined)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 12_345, 44_100, 96_000, 250_000, 384_000])
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_flacs_of_all_rates_and_channels_are_read(rate_hz: int, channels: int) -> None:
    data = encoded(noise(0.1, rate_hz, channels), rate_hz, "FLAC")
    found = measured(data, "clip.x")
    assert (found.sample_rate_hz, found.channels) == (rate_hz, channels)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64"])
@pytest.mark.parametrize("align", [0x8002, 3, 5, 0])
def test_frames_that_do_not_hold_their_channels(kind: str, align: int) -> None:
    data = bytearray(encoded(noise(1.0, RATE_HZ, 2), RATE_HZ, kind))
    place = data.index(b"fmt ") + (24 if kind == "W64" else 8) + 12
    assert struct.unpack_from("<H", data, place) == (4,)
    struct.pack_into("<H", data, place, align)
    with pytest.raises(AudioError, match=f"frames of {align} bytes for 2 channels of 16 bits"):
        length(bytes(data))
