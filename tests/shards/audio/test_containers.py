"""A file is as long as what can be decoded of it, whatever its header says."""

import io
import struct

import numpy as np
import pytest
from sound_files import (
    by_ffmpeg,
    counted_by_ffmpeg,
    encoded,
    id3_tag,
    length,
    needs_ffmpeg,
    noise,
    ogg_pages,
    with_flac_samples,
)

from shards.audio import AudioError, decode, measured, probe
from shards.audio.containers import flac

RATE_HZ = 16_000
SOUND = noise(3.0)
WAV = encoded(SOUND)
FLAC = encoded(SOUND, kind="FLAC")
OGG = encoded(SOUND, kind="OGG")
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 13) + b"a recorder 1\0\0"


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_tag_in_front_costs_no_sound(kind: str) -> None:
    data = encoded(noise(3.0, 44_100), 44_100, kind)
    tagged = id3_tag(3000) + bytes(500) + data
    assert length(tagged) == length(data)
    with pytest.raises(AudioError, match=r"truncated|Ogg page|broken"):
        decode(tagged[: len(tagged) - len(data) // 2], "clip.x")


@pytest.mark.parametrize("said", [0, 1000, 16_000, 47_999])
def test_a_flac_longer_than_its_header(said: int) -> None:
    assert length(with_flac_samples(FLAC, said)) == len(SOUND)
    assert probe(with_flac_samples(FLAC, said), "clip.x").num_samples == len(SOUND)


def test_flacs_that_were_joined_are_read_to_the_end() -> None:
    assert length(FLAC + encoded(noise(1.0, seed=1), kind="FLAC")) == len(SOUND) + RATE_HZ
    assert length(FLAC + FLAC) == 2 * len(SOUND)
    assert probe(FLAC + FLAC, "clip.x").num_samples == 2 * len(SOUND)


def test_a_large_flac_is_believed_only_where_its_frames_agree(monkeypatch) -> None:
    monkeypatch.setattr(flac, "QUICK_MIN_BYTES", 1 << 16)
    data = encoded(noise(10.0), kind="FLAC")
    assert len(data) > 2 * flac.TAIL_BYTES
    for changed, expected in (
        (data, 10), (data + data, 20), (with_flac_samples(data, 80_000), 10), (FLAC + data, 13)
    ):  # fmt: skip
        assert probe(changed, "clip.x").num_samples == expected * RATE_HZ
    assert flac.promised(io.BytesIO(data), 0, len(data)) == 10 * RATE_HZ
    assert flac.promised(io.BytesIO(data + data), 0, 2 * len(data)) is None


def flac_frames(data: bytes) -> list[int]:
    """Where frames of a FLAC of mono 16 bits begin, by their constant bytes."""
    mark = data[data.index(b"\xff\xf8") : data.index(b"\xff\xf8") + 2]
    header = data.index(mark)
    same = data[header : header + 4]
    return [at for at in range(len(data)) if data[at : at + 4] == same]


@pytest.mark.parametrize("change", ["lost", "doubled", "swapped", "lost without a length"])
def test_flac_frames_out_of_their_order_are_damage(change: str) -> None:
    starts = flac_frames(FLAC)
    a, b, c = starts[3:6]
    changed = {
        "doubled": FLAC[:b] + FLAC[a:b] + FLAC[b:],
        "swapped": FLAC[:a] + FLAC[b:c] + FLAC[a:b] + FLAC[c:],
    }.get(change, FLAC[:a] + FLAC[b:])
    if change == "lost without a length":
        changed = with_flac_samples(changed, 0)
    with pytest.raises(AudioError, match=r"damaged after (0\.768|1\.024) s, at byte \d+"):
        decode(changed, "clip.x")


def test_every_link_of_a_chained_ogg_is_read() -> None:
    other = encoded(noise(2.0, seed=2), kind="OGG")
    assert length(OGG + other) == len(SOUND) + 2 * RATE_HZ
    assert length(OGG + OGG) == 2 * len(SOUND)  # of one serial number
    opus = encoded(noise(1.0, 48_000), 48_000, "OGG", "OPUS")
    assert length(opus + opus + opus) == 3 * 48_000
    with pytest.raises(AudioError, match=r"joined of recordings with 16000 Hz and 1 channels"):
        decode(OGG + opus, "clip.x")


def test_a_lost_or_damaged_ogg_page_is_named() -> None:
    pages = ogg_pages(encoded(noise(8.0), kind="OGG"))
    assert len(pages) > 6
    lost = b"".join(pages[:4] + pages[5:])
    byte = sum(map(len, pages[:4]))
    with pytest.raises(AudioError, match=rf"damaged after \d\.\d+ s, at byte {byte} .*5 where 4"):
        decode(lost, "clip.x")
    with pytest.raises(AudioError, match="is due"):
        decode(b"".join([*pages[:4], pages[5], pages[4], *pages[6:]]), "clip.x")
    with pytest.raises(AudioError, match="is due"):
        decode(b"".join([*pages[:5], *pages[4:]]), "clip.x")
    flipped = bytearray(b"".join(pages))
    flipped[byte + 100] ^= 1
    for reader in (decode, probe, measured):
        with pytest.raises(AudioError, match=rf"at byte {byte} \(.*checksum"):
            reader(bytes(flipped), "clip.x")


@pytest.mark.parametrize("kind", ["AIFF", "W64"])
def test_aiff_and_w64_are_read_and_refused_where_cut(kind: str) -> None:
    data = encoded(SOUND, kind=kind)
    assert probe(data, "clip.x").codec == kind.lower()
    assert length(data) == len(SOUND)
    np.testing.assert_array_equal(decode(data, "clip.x"), decode(WAV, "clip.x"))
    for share in (0.3, 0.99):
        with pytest.raises(AudioError, match="bytes fewer than its header promises"):
            decode(data[: int(share * len(data))], "clip.x")


def test_aiff_and_w64_whose_sizes_were_never_written() -> None:
    aiff = bytearray(encoded(SOUND, kind="AIFF"))
    place = aiff.index(b"SSND") + 4
    aiff[place : place + 4] = bytes(4)
    place = aiff.index(b"COMM") + 10
    aiff[place : place + 4] = bytes(4)
    assert length(bytes(aiff)) == len(SOUND)
    w64 = bytearray(encoded(SOUND, kind="W64"))
    place = w64.index(b"data") + 16
    w64[place : place + 8] = struct.pack("<q", 24)
    assert length(bytes(w64)) == len(SOUND)


def mp3(seconds: float, *options: str, rate_hz: int = 44_100) -> bytes:
    return by_ffmpeg(noise(seconds, rate_hz), rate_hz, ".mp3", options)


@needs_ffmpeg
@pytest.mark.parametrize(
    "options", [("-q:a", "7"), ("-b:a", "64k"), ("-b:a", "32k", "-ar", "22050"), ("-ar", "8000")]
)
@pytest.mark.parametrize("header", ["0", "1"])
def test_an_mp3_has_the_samples_that_ffmpeg_finds(options, header, tmp_path) -> None:
    data = mp3(4.0, *options, "-write_xing", header)
    rate_hz = probe(data, "clip.x").sample_rate_hz
    assert length(data) == counted_by_ffmpeg(data, ".mp3", rate_hz, tmp_path)


@needs_ffmpeg
def test_an_mp3_of_variable_rate_without_a_header_is_read_to_its_end() -> None:
    quiet = noise(20.0, 44_100) * 1e-4
    loud_first = np.concatenate([noise(4.0, 44_100), quiet])
    data = by_ffmpeg(loud_first, 44_100, ".mp3", ["-q:a", "5", "-write_xing", "0"])
    assert 24 * 44_100 <= length(data) <= 24.1 * 44_100


@needs_ffmpeg
def test_mp3s_that_were_joined_are_read_to_the_end(tmp_path) -> None:
    one, two = mp3(2.0, "-id3v2_version", "3"), mp3(3.0, "-write_id3v1", "1")
    joined = two + one + two
    assert length(joined) >= 8 * 44_100
    assert length(joined) >= counted_by_ffmpeg(joined, ".mp3", 44_100, tmp_path)


@needs_ffmpeg
def test_tags_around_an_mp3_are_no_damage_and_junk_within_is() -> None:
    data = mp3(3.0, "-id3v2_version", "0", "-write_xing", "0")
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 64, 1, 0) + bytes(8)
    tagged = id3_tag(1000) + bytes(2000) + data + bytes(64) + ape + b"TAG" + bytes(125)
    assert length(tagged) == length(data)
    with pytest.raises(AudioError, match=r"damaged after \d\.\d+ s, at byte \d+ \(3000 bytes"):
        decode(data[: 417 * 20] + bytes(3000) + data[417 * 20 :], "clip.x")
    with pytest.raises(AudioError, match=r"truncated \(got \d+ MP3 frames"):
        decode(mp3(3.0)[:-3000], "clip.x")
    recorded = data[700:-100]  # of a stream: it begins and ends within a frame
    assert length(data) - 6 * 1152 <= length(recorded) < length(data)


@needs_ffmpeg
def test_mp3_put_into_wav_is_not_cut_short() -> None:
    for seconds in (0.5, 1.3, 4.0):
        data = by_ffmpeg(noise(seconds, 44_100), 44_100, ".wav", ["-c:a", "libmp3lame"])
        assert probe(data, "clip.x").codec == "wav"
        assert length(data) >= seconds * 44_100
        with pytest.raises(AudioError, match="fewer than its header promises"):
            decode(data[: len(data) // 2], "clip.x")


KINDS = {
    ".m4a": ("aac", []), ".mp4": ("aac", []), ".aac": ("aac", []), ".webm": ("opus", []),
    ".mka": ("vorbis", ["-c:a", "libvorbis"]), ".wma": ("wmav2", []), ".mov": ("aac", []),
    ".caf": ("pcm_s16be", ["-c:a", "pcm_s16be"]), ".mkv": ("flac_in_matroska", ["-c:a", "flac"]),
}  # fmt: skip


@needs_ffmpeg
@pytest.mark.parametrize("suffix", sorted(KINDS))
def test_what_phones_and_recorders_write_is_read(suffix: str, tmp_path) -> None:
    codec, options = KINDS[suffix]
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * 48_000) / 48_000)[:, None]
    data = by_ffmpeg(np.repeat(tone, 2, axis=1), 48_000, suffix, options)
    info = probe(data, "clip.x")
    assert (info.codec, info.sample_rate_hz, info.channels) == (codec, 48_000, 2)
    found = length(data)
    assert found == counted_by_ffmpeg(data, suffix, 48_000, tmp_path)
    assert abs(found - len(tone)) < 4096
    samples = decode(data, "clip.x")[8_000:88_000]
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(np.argmax(spectrum) * 48_000 / len(samples) - 440) < 2
    assert abs(np.sqrt(np.mean(samples**2)) - 0.3 / np.sqrt(2)) < 0.02


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".wma"])
def test_what_phones_write_is_refused_where_cut(suffix: str) -> None:
    data = by_ffmpeg(noise(4.0, 48_000), 48_000, suffix, KINDS[suffix][1])
    for share in (0.4, 0.9):
        with pytest.raises(AudioError, match=r"truncated|holds no|cannot be read"):
            decode(data[: int(share * len(data))], "clip.x")


def test_a_text_file_is_no_audio_and_a_picture_holds_no_sound() -> None:
    for data in (b"a sentence", b"\x89PNG\r\n\x1a\n" + bytes(500), bytes(5000), b"RIFF", b"fLaC"):
        with pytest.raises(AudioError, match=r"^clip\.x: ") as error:
            decode(data, "clip.x")
        assert "\n" not in str(error.value)


def test_nan_is_told_with_its_own_second() -> None:
    samples = np.zeros((100_000, 2), np.float32)
    samples[70_000, 1] = np.nan
    with pytest.raises(AudioError, match=r"NaN or infinite samples at 4\.375 s"):
        decode(encoded(samples, subtype="FLOAT"), "clip.x")


def test_a_header_that_names_no_known_kind_of_samples() -> None:
    """FFmpeg finds a stream in it, and no decoder."""
    data = bytearray(encoded(noise(0.5), kind="WAV"))
    data[20:22] = (0x7FFE).to_bytes(2, "little")
    with pytest.raises(AudioError, match=r"^clip\.x: cannot be read as audio"):
        decode(bytes(data), "clip.x")
