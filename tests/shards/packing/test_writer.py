"""Shards: the same bytes every time, plain to tar and webdataset, nothing lost or changed."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest
import soundfile as sf
from packing import files, noise_clips, pack, write_noise

from shards.audio.decoding import AudioError
from shards.clip import Clip
from shards.dataset import Dataset
from shards.io.store import Store
from shards.manifest import write_dataset
from shards.packing.plan import plan_shards, survey
from shards.packing.writer import WrittenShard, write_shard
from shards.repair.verification import verify
from shards.sources import SOURCES


def one(name: str) -> Clip:
    return Clip(source_id=name, audio=name, subset="unlabeled")


def test_packing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    clips = noise_clips(tmp_path / "in", 12)
    pack(tmp_path / "in", clips, tmp_path / "a")
    pack(tmp_path / "in", clips[::-1], tmp_path / "b")
    first = files(tmp_path / "a")
    assert first == files(tmp_path / "b")
    assert len([name for name in first if name.endswith(".tar")]) > 2


def test_members_are_plain_and_rows_point_at_them(tmp_path: Path) -> None:
    clips = {clip.source_id: clip for clip in noise_clips(tmp_path / "in", 6)}
    dataset, _ = pack(tmp_path / "in", clips.values(), tmp_path / "out")
    for row in dataset.rows:
        data = (tmp_path / "out" / row.shard).read_bytes()[row.offset : row.offset + row.size]
        assert data == (tmp_path / "in" / clips[row.source_id].audio).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.checksum
        assert (row.codec, row.sample_rate_hz, row.channels) == ("flac", 8000, 1)
        assert row.num_samples == sf.info(io.BytesIO(data)).frames
        with tarfile.open(tmp_path / "out" / row.shard) as tar:
            names = tar.getnames()
            place = names.index(f"{row.key}.flac")
            assert names[place + 1] == f"{row.key}.json"
            description = json.load(tar.extractfile(f"{row.key}.json"))
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
                assert (member.uname, member.gname, member.pax_headers) == ("", "", {})
        assert description["id"] == row.source_id
        assert description["weak"] == ["noise"]
        assert description["meta"] == clips[row.source_id].meta
        assert description["source"]["sha256"] == row.checksum


def test_webdataset_finds_every_key(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 8), tmp_path / "out")
    urls = [str(tmp_path / "out" / shard.name) for shard in dataset.manifest.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [row.key for row in dataset.rows]
    for sample, row in zip(samples, dataset.rows, strict=True):
        assert sample["flac"] == dataset.read(row)
        assert json.loads(sample["json"])["id"] == row.source_id


def test_kept_24_bit_flac_is_bit_exact_with_all_channels(tmp_path: Path) -> None:
    write_noise(tmp_path / "in/deep.flac", channels=3, subtype="PCM_24")
    dataset, _ = pack(tmp_path / "in", [one("deep.flac")], tmp_path / "out")
    [row] = dataset.rows
    assert row.channels == 3
    kept, rate = sf.read(io.BytesIO(dataset.read(row)), dtype="int32")
    original, _ = sf.read(tmp_path / "in/deep.flac", dtype="int32")
    assert rate == 8000
    assert np.array_equal(kept, original)
    assert (kept & 0xFF00).any()  # the lower 8 of the 24 bits are in use


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_wav_to_flac_loses_nothing(tmp_path: Path, subtype: str) -> None:
    write_noise(tmp_path / "in/a.wav", subtype=subtype)
    dataset, _ = pack(tmp_path / "in", [one("a.wav")], tmp_path / "out", codec="flac")
    [row] = dataset.rows
    assert row.codec == "flac"
    info = sf.info(io.BytesIO(dataset.read(row)))
    assert (info.format, info.subtype) == ("FLAC", subtype)
    original, _ = sf.read(tmp_path / "in/a.wav", dtype="float32")
    assert np.array_equal(dataset.audio(row), original)


def test_resampling_encodes_anew(tmp_path: Path) -> None:
    rate, seconds = 16000, 1.0
    time_s = np.arange(round(rate * seconds)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    (tmp_path / "in").mkdir()
    sf.write(tmp_path / "in/tone.ogg", np.stack([tone, tone], axis=1), rate)
    dataset, _ = pack(tmp_path / "in", [one("tone.ogg")], tmp_path / "out", sample_rate_hz=8000)
    [row] = dataset.rows
    assert (row.codec, row.sample_rate_hz, row.num_samples, row.channels) == ("flac", 8000, 8000, 1)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    assert np.abs(dataset.audio(row) - expected)[400:-400].max() < 0.02


def test_a_bad_recording_fails_by_name_or_is_listed(tmp_path: Path) -> None:
    clips = noise_clips(tmp_path / "in", 12)
    whole, _ = pack(tmp_path / "in", clips, tmp_path / "whole")
    bad = tmp_path / "in" / clips[4].audio
    data = bytearray(bad.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)  # the header stays right
    bad.write_bytes(data)
    with pytest.raises(AudioError, match=r"^noise_4\.5\.flac: .*") as caught:
        pack(tmp_path / "in", clips, tmp_path / "fail")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "fail").rglob("scratch.tar"))
    dataset, written = pack(tmp_path / "in", clips, tmp_path / "skip", on_error="skip")
    [skipped] = [each for shard in written for each in shard.skipped]
    assert skipped.source_id == clips[4].source_id
    assert len(dataset.rows) == 11
    before, after = files(tmp_path / "whole"), files(tmp_path / "skip")
    [changed] = [row.shard for row in whole.rows if row.source_id == clips[4].source_id]
    assert {name for name in before if name.endswith(".tar") and before[name] != after[name]} == {
        changed
    }


def test_nan_samples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sf.write(tmp_path / "in/nan.wav", np.array([0.0, np.nan] * 100), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"^nan\.wav: got NaN"):
        pack(tmp_path / "in", [one("nan.wav")], tmp_path / "out")


def test_a_shard_whose_clips_are_all_bad_is_left_out(tmp_path: Path) -> None:
    clips = noise_clips(tmp_path / "in", 3)
    bad = tmp_path / "in" / clips[1].audio
    bad.write_bytes(bad.read_bytes()[:400])
    dataset, written = pack(
        tmp_path / "in", clips, tmp_path / "out", target_bytes=1, on_error="skip"
    )
    assert len(written) == 3
    assert len(dataset.manifest.shards) == 2


def test_a_written_shard_survives_json(tmp_path: Path) -> None:
    clips = noise_clips(tmp_path / "in", 3)
    (tmp_path / "in" / clips[0].audio).write_bytes(
        (tmp_path / "in" / clips[0].audio).read_bytes()[:400]
    )
    _, [shard] = pack(tmp_path / "in", clips, tmp_path / "out", target_bytes=10**6, on_error="skip")
    assert len(shard.skipped) == 1
    assert WrittenShard.from_json(shard.to_json()) == shard
    renamed = shard.stored_as("shards/00000-abc.tar")
    assert {row.shard for row in renamed.rows} == {renamed.entry.name} == {"shards/00000-abc.tar"}


def test_attempts_at_an_object_store_leave_one_object(tmp_path: Path) -> None:
    """An object store names a shard after its content; a folder stands in for it."""
    clips = noise_clips(tmp_path / "in", 4)
    for folder in ("shards", "index"):
        (tmp_path / "bucket/set" / folder).mkdir(parents=True)
    bucket = pafs.SubTreeFileSystem(str(tmp_path / "bucket"), pafs.LocalFileSystem())
    store = Store(bucket, "set")
    surveyed, _ = survey(Store.local(tmp_path / "in"), clips)
    [plan] = plan_shards(surveyed, 10**6, 0)
    for _ in range(2):
        shard = write_shard(Store.local(tmp_path / "in"), plan, tmp_path / "scratch.tar")
        shard = shard.stored_as(store.publish(shard.name, tmp_path / "scratch.tar"))
    write_dataset(
        store, shard.rows, name="x", licence="CC0", classes=["noise"], shards=[shard.entry]
    )
    dataset = Dataset.open(store)
    assert {row.shard for row in dataset.rows} == {shard.name} != {plan.name}
    assert [dataset.read(row) for row in dataset.rows]
    assert verify(store).problems == ()
    assert store.names("shards") == [shard.name]


def test_real_recordings(shared_dir: Path, tmp_path: Path) -> None:
    store = Store.local(shared_dir / "data/tut_rare_sample")
    surveyed, skipped = survey(store, SOURCES["tut_rare"](store, {}).clips[:3])
    assert skipped == []
    [plan] = plan_shards(surveyed, 10**9, 0)
    shard = write_shard(store, plan, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        for row in shard.rows:
            data = tar.extractfile(f"{row.key}.flac").read()
            assert data == store.read(f"audio/{row.source_id}.flac")
            info = sf.info(io.BytesIO(data))
            assert info.subtype == "PCM_24"
            assert (row.sample_rate_hz, row.num_samples) == (44100, info.frames)
            assert row.duration_s == pytest.approx(30, abs=0.001)
    assert shard.sha256 == hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "form", [{}, {"codec": "flac"}, {"codec": "wav"}, {"sample_rate_hz": 4000}]
)
def test_a_long_recording_is_packed_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: dict[str, object]
) -> None:
    """Read little by little or at once."""
    write_noise(tmp_path / "in/a.flac", seconds=9.3, channels=2, subtype="PCM_24")
    write_noise(tmp_path / "in/b.wav", seconds=5)
    clips = [one("a.flac"), one("b.wav")]
    pack(tmp_path / "in", clips, tmp_path / "whole", **form)
    monkeypatch.setattr("shards.io.range_file.WHOLE_BYTES", 1000)
    monkeypatch.setattr("shards.io.range_file.READ_AHEAD_BYTES", 5000)
    pack(tmp_path / "in", clips, tmp_path / "pieces", **form)
    assert files(tmp_path / "whole") == files(tmp_path / "pieces")


def test_what_a_tar_cannot_hold_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_noise(tmp_path / "in/long.wav", seconds=5)  # 80 kB
    monkeypatch.setattr("shards.packing.stored_audio.MEMBER_MAX_BYTES", 75_000)
    with pytest.raises(AudioError, match=r"^long\.wav: got 80044 bytes to store; .* split"):
        pack(tmp_path / "in", [one("long.wav")], tmp_path / "out")
    stored, _ = pack(tmp_path / "in", [one("long.wav")], tmp_path / "out", sample_rate_hz=4000)
    assert stored.rows[0].num_samples == 20_000
