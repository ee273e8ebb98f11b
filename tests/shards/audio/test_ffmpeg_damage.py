"""Damage in what FFmpeg decodes: holes, decoders' complaints, and files that are no sound."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from sound_files import by_ffmpeg, encoded, length, needs_ffmpeg, noise

from shards.audio.channels import ChannelMeter
from shards.audio.clock import Clock
from shards.audio.decoding import AudioError, measured

RATE_HZ = 44_100
KINDS = {
    ".wma": ["-c:a", "wmav2", "-b:a", "64k"],
    ".webm": ["-c:a", "libopus"],
    ".mka": ["-c:a", "libvorbis"],
    ".m4a": ["-c:a", "aac"],
    ".wv": [],
    ".tta": [],
    ".ac3": [],
}

SOUND = noise(3.0)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_destroyed_is_told_and_what_is_whole_is_read(suffix: str) -> None:
    data = by_ffmpeg(noise(5.0, RATE_HZ), RATE_HZ, suffix, KINDS[suffix])
    assert abs(measured(io.BytesIO(data), "x").num_samples / RATE_HZ - 5) < 0.1 or suffix == ".webm"
    middle = len(data) // 2
    broken = data[:middle] + bytes(5000) + data[middle + 5000 :]
    with pytest.raises(AudioError, match=r"x\.y: damaged after [0-9.]+ s, at byte [0-9]+ \("):
        measured(io.BytesIO(broken), "x.y")


@needs_ffmpeg
def test_a_hole_at_the_end_of_a_wma() -> None:
    data = by_ffmpeg(noise(5.0, RATE_HZ), RATE_HZ, ".wma", KINDS[".wma"])
    with pytest.raises(AudioError, match="s of sound are missing of 5"):
        measured(io.BytesIO(data[:-6400] + bytes(6400)), "x")


def clock(times: np.ndarray, frame_s: float = 0.02) -> None:
    made = Clock("x", "opus", 0.001, 48_000)
    for number, time in enumerate(times):
        made.add(float(time), round(number * frame_s * 48_000), 100 * number)
    made.end()


def test_time_stamps_that_jitter_and_drift_are_no_gap() -> None:
    times = np.arange(3000) * 0.02
    rng = np.random.default_rng(0)
    clock(times + 1.5)
    clock(times + np.round(times, 3) * 200e-6)
    clock(times + np.where(rng.random(3000) < 0.3, 0.06, 0.0) + rng.uniform(0, 0.01, 3000))


@pytest.mark.parametrize(("place", "lost_s"), [(1, 0.2), (50, 0.02), (2000, 0.5), (2997, 0.2)])
def test_a_gap_is_told_with_its_second_and_byte(place: int, lost_s: float) -> None:
    times = np.arange(3000) * 0.02
    times[place:] += lost_s
    said = f"after {place * 0.02:.3f} s, at byte {100 * place} \\({lost_s:.3f} s of sound"
    with pytest.raises(AudioError, match=said):
        clock(times)


@needs_ffmpeg
@pytest.mark.parametrize("is_file", [True, False])
def test_a_caf_whose_sizes_are_not_true(tmp_path: Path, is_file: bool) -> None:
    data = bytearray(by_ffmpeg(noise(2.0), 16_000, ".caf", ["-c:a", "pcm_s16be"]))
    place = data.index(b"data") + 4
    assert length(bytes(data)) == 32_000
    struct.pack_into(">q", data, place, -1)  # as recorders that did not end leave it
    assert length(bytes(data)) == 32_000
    path = tmp_path / "x.caf"
    for said in (4, 4 + 30_000, 4 + 63_998):
        struct.pack_into(">q", data, place, said)
        path.write_bytes(data)
        with path.open("rb") if is_file else io.BytesIO(data) as file:
            assert measured(file, "x.caf").num_samples == 32_000
    behind = b"free" + struct.pack(">q", 40) + bytes(40)
    struct.pack_into(">q", data, place, 4 + 64_000)
    assert length(bytes(data) + behind) == 32_000
    assert length(bytes(data) + behind[:30]) == 32_000  # cut behind the sound
    odd = bytes(data) + b"\0\1\2\3" + struct.pack(">q", -5)  # more sound
    assert length(odd) == 32_006
    alac = bytearray(by_ffmpeg(noise(2.0), 16_000, ".caf", ["-c:a", "alac"]))
    place_alac = alac.index(b"data") + 4
    (said,) = struct.unpack_from(">q", alac, place_alac)
    struct.pack_into(">q", alac, place_alac, said - 3)
    with pytest.raises(AudioError, match="no CAF chunk"):
        length(bytes(alac))
    struct.pack_into(">q", data, place, 4 + 90_000)
    with pytest.raises(AudioError, match="truncated"):
        measured(io.BytesIO(data), "x.caf")


@pytest.mark.parametrize("kind", ["AU", "NIST", "VOC"])
def test_files_of_plain_samples_are_refused_where_they_are_cut(kind: str) -> None:
    data = encoded(SOUND, kind=kind, subtype="PCM_16")
    assert length(data) == len(SOUND)
    for share in (0.3, 0.99):
        with pytest.raises(AudioError, match="bytes fewer than its header promises"):
            length(data[: int(share * len(data))])


def test_sizes_in_au_and_voc_that_are_not_true() -> None:
    au = bytearray(encoded(SOUND, kind="AU"))
    for said in (0, 1000, 0xFFFFFFFF):
        struct.pack_into(">I", au, 8, said)
        assert length(bytes(au)) == len(SOUND)
    voc = bytearray(encoded(SOUND, kind="VOC", subtype="PCM_16"))
    voc[27:30] = (1000).to_bytes(3, "little")
    with pytest.raises(AudioError, match="damaged at byte 1030"):
        length(bytes(voc))
    assert length(encoded(SOUND, kind="VOC", subtype="PCM_16") + b"\0\0") == len(SOUND)


@needs_ffmpeg
def test_whatever_sizes_are_in_a_header_the_error_has_the_files_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "x"
    for suffix in (".caf", ".au", ".voc", ".wv", ".tta", ".avi", ".m4a", ".mkv", ".wma"):
        whole = by_ffmpeg(noise(0.3), 16_000, suffix)
        for _ in range(12):
            data = bytearray(whole)
            at = int(rng.integers(4, 160))
            data[at : at + 4] = rng.bytes(4)
            path.write_bytes(data)
            with path.open("rb") as file:
                try:
                    measured(file, "the name")
                except AudioError as error:
                    assert str(error).startswith("the name: ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
        (b"<?xml version='1.0'?><html>no</html>", "a web page"),
        (bytes(5000), "zeros at its beginning"),
        (bytes(50), "nothing but zeros .50 bytes."),
        ("nur Text, mit Vögeln\n".encode() * 300, "text, beginning with 'nur Text, mit Vögeln"),
        (b"PK\x03\x04" + bytes(300), "a ZIP archive"),
        (b"\x01\x9f\x80\xd3\x05\x06\x07\x08" * 40, "beginning with the bytes 01 9f 80 d3"),
    ],
)
def test_what_is_no_sound_is_told(data: bytes, said: str) -> None:
    with pytest.raises(AudioError, match=f"x.wav: .*it is .*{said}") as error:
        measured(io.BytesIO(data), "x.wav")
    assert "Errno" not in str(error.value)


@needs_ffmpeg
def test_a_second_track_of_sound_is_told() -> None:
    for maps, said in ((["-map", "0", "-map", "0"], "x: has 2 tracks of sound"), ([], None)):
        data = by_ffmpeg(noise(0.5), 16_000, ".mp4", ["-c:a", "aac", *maps])
        meter = ChannelMeter()
        measured(io.BytesIO(data), "x", meter=meter)
        warning = meter.warning("x")
        assert (warning or "").startswith(said or "") and (warning is None) == (said is None)
        assert meter.warning("x", "left") == meter.warning("x", 0) == warning


def test_channels_that_cancel_each_other_are_told_where_their_mean_is_taken() -> None:
    meter = ChannelMeter()
    measured(io.BytesIO(encoded(noise(2.0) * np.array([[1.0, -1.0]]))), "x", meter=meter)
    assert "opposite phase" in (meter.warning("x") or "")
    assert meter.warning("x", "left") is meter.warning("x", "each") is None
