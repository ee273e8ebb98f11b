"""One list of suffixes: what is read when it is named is found in folders and in tars as well."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from foreign_cases import sound, write_tar
from foreign_readers import by_pack, by_reindex
from packing import pack
from sound_by_pyav import encoded_by_pyav

from shards.audio.decoding import AUDIO_SUFFIXES, STORED_SUFFIXES, decode, probe
from shards.clip import Clip
from shards.io.store import Store
from shards.sources._tables import audio_names
from shards.sources._unread import unread_notes

SECONDS = 2.0
# By libsndfile: its names of the file and of the samples, and the rate.
WRITTEN = {
    ".wav": ("WAV", "PCM_16", 16_000), ".wave": ("WAVEX", "PCM_16", 16_000),
    ".bwf": ("WAV", "PCM_24", 16_000), ".rf64": ("RF64", "PCM_16", 16_000),
    ".bw64": ("RF64", "PCM_24", 16_000), ".flac": ("FLAC", "PCM_16", 16_000),
    ".ogg": ("OGG", "VORBIS", 16_000), ".oga": ("OGG", "VORBIS", 16_000),
    ".opus": ("OGG", "OPUS", 16_000), ".mp3": ("MP3", "MPEG_LAYER_III", 16_000),
    ".aif": ("AIFF", "PCM_16", 16_000), ".aiff": ("AIFF", "PCM_24", 16_000),
    ".aifc": ("AIFF", "ULAW", 16_000), ".au": ("AU", "PCM_16", 16_000),
    ".avr": ("AVR", "PCM_16", 16_000), ".caf": ("CAF", "ALAC_16", 16_000),
    ".gsm": ("RAW", "GSM610", 8_000), ".ircam": ("IRCAM", "PCM_16", 16_000),
    ".sf": ("IRCAM", "FLOAT", 16_000), ".nist": ("NIST", "PCM_16", 16_000),
    ".sph": ("NIST", "PCM_16", 16_000), ".paf": ("PAF", "PCM_16", 16_000),
    ".pvf": ("PVF", "PCM_16", 16_000), ".snd": ("AU", "PCM_16", 16_000),
    ".voc": ("VOC", "PCM_16", 16_000), ".w64": ("W64", "PCM_16", 16_000),
    ".8svx": ("SVX", "PCM_16", 16_000),
}  # fmt: skip
# By PyAV: the container, the codec, and the rate.
ENCODED = {
    ".3g2": ("3g2", "aac", 16_000), ".3gp": ("3gp", "amr_nb", 8_000),
    ".aac": ("adts", "aac", 16_000), ".ac3": ("ac3", "ac3", 48_000),
    ".adts": ("adts", "aac", 16_000), ".amr": ("amr", "amr_nb", 8_000),
    ".asf": ("asf", "wmav2", 16_000), ".avi": ("avi", "pcm_s16le", 16_000),
    ".ec3": ("eac3", "eac3", 48_000), ".eac3": ("eac3", "eac3", 48_000),
    ".f4v": ("mp4", "aac", 16_000), ".flv": ("flv", "mp3", 22_050),
    ".latm": ("latm", "aac", 16_000), ".loas": ("latm", "aac", 16_000),
    ".m2ts": ("mpegts", "mp2", 48_000), ".mts": ("mpegts", "mp2", 48_000),
    ".m4a": ("ipod", "aac", 16_000), ".m4b": ("mp4", "aac", 16_000),
    ".m4r": ("mp4", "aac", 16_000), ".m4v": ("mp4", "mp3", 16_000),
    ".mka": ("matroska", "flac", 16_000), ".mkv": ("matroska", "aac", 16_000),
    ".mov": ("mov", "alac", 16_000), ".mp2": ("mp2", "mp2", 32_000),
    ".mp4": ("mp4", "flac", 16_000), ".mpa": ("mp2", "mp2", 32_000),
    ".mpg": ("mpeg", "mp2", 48_000), ".mpeg": ("mpeg", "mp2", 48_000),
    ".ogx": ("ogg", "flac", 16_000), ".ogv": ("ogg", "libopus", 48_000),
    ".ra": ("rm", "real_144", 8_000), ".rm": ("rm", "ac3", 32_000),
    ".sox": ("sox", "pcm_s32le", 16_000), ".tta": ("tta", "tta", 16_000),
    ".vob": ("vob", "ac3", 48_000), ".weba": ("webm", "libopus", 48_000),
    ".webm": ("webm", "libopus", 48_000), ".wma": ("asf", "wmav2", 16_000),
    ".wmv": ("asf", "wmav2", 16_000), ".wv": ("wv", "wavpack", 16_000),
}  # fmt: skip
# No encoder of these is in the wheels; their decoders are.
UNTRIED = {
    *(".ape", ".awb", ".dff", ".dsf", ".dts", ".mlp", ".mp1", ".mpc", ".shn", ".spx", ".tak"),
    ".thd",
}


def tone(rate_hz: int) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(SECONDS * rate_hz)) / rate_hz)


def made(suffix: str) -> bytes:
    if suffix in ENCODED:
        container, codec, rate_hz = ENCODED[suffix]
        return encoded_by_pyav(tone(rate_hz), rate_hz, container, codec)
    container, subtype, rate_hz = WRITTEN[suffix]
    file = io.BytesIO()
    sf.write(file, tone(rate_hz), rate_hz, format=container, subtype=subtype)
    return file.getvalue()


def test_every_suffix_is_tried_or_named() -> None:
    assert {*WRITTEN, *ENCODED} | UNTRIED == set(AUDIO_SUFFIXES)


@pytest.mark.parametrize("suffix", [*WRITTEN, *ENCODED])
def test_what_is_read_when_it_is_named_is_found_in_folders_and_tars(
    tmp_path: Path, suffix: str
) -> None:
    data = made(suffix)
    info = probe(data, "rec")
    assert abs(len(decode(data, "rec")) / info.sample_rate_hz - SECONDS) < 0.15
    (tmp_path / "in").mkdir()
    (tmp_path / f"in/REC{suffix.upper()}").write_bytes(data)
    folder = Store.local(tmp_path / "in")
    assert audio_names(folder) == [f"REC{suffix.upper()}"]
    assert unread_notes(folder.names()) == []
    tar = write_tar(tmp_path / "tars/x.tar", [(f"rec{suffix}", data)])
    assert list(by_pack(tar).clips) == ["rec"]
    read = by_reindex(tar)
    if suffix in STORED_SUFFIXES:
        assert list(read.clips) == ["rec"]
    else:
        assert (
            f"rec{suffix}: got a {suffix} file; in tars expected flac, mp3" in read.left_out["rec"]
        )


@pytest.mark.parametrize("suffix", [".mka", ".mp4", ".m4v", ".caf"])
def test_a_stream_in_another_container_is_no_file_of_its_own_kind(
    tmp_path: Path, suffix: str
) -> None:
    """FLAC in Matroska was kept under the name of a FLAC file."""
    (tmp_path / f"rec{suffix}").write_bytes(made(suffix))
    clip = Clip(source_id="rec", audio=f"rec{suffix}", subset="unlabeled")
    dataset, _ = pack(tmp_path, [clip], tmp_path / "set")
    (row,) = dataset.rows
    (shard,) = (tmp_path / "set").rglob("*.tar")
    assert row.codec == "flac"
    assert shard.read_bytes()[row.offset : row.offset + 4] == b"fLaC"


def test_a_video_beside_its_sound_is_not_used_and_counted(tmp_path: Path) -> None:
    members = [("a.mp4", made(".mp4")), ("a.flac", sound()), ("b.flac", sound(1))]
    tar = write_tar(tmp_path / "tars/x.tar", members)
    for read in (by_pack(tar), by_reindex(tar)):
        assert (sorted(read.clips), read.unused) == (["a", "b"], {"mp4": 1})


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 16_000, 20_481])
def test_alac_in_caf_has_all_its_samples(count: int) -> None:
    samples = np.random.default_rng(0).integers(-9000, 9000, count).astype(np.int16)
    file = io.BytesIO()
    sf.write(file, samples, 16_000, format="CAF", subtype="ALAC_16")
    assert np.array_equal(decode(file.getvalue(), "x"), samples / np.float32(32_768))
