"""Plans depend on the clips, their sizes and the seed alone; bad clips are found from headers."""

import random
from pathlib import Path

import pytest
from packing import noise_clips, write_noise

from shards.audio.decoding import AudioError, AudioInfo
from shards.clip import Clip, ClipError, Event
from shards.io.store import Store
from shards.packing.plan import ShardPlan, plan_shards, predicted_bytes, stored_form, survey

INFO = AudioInfo(codec="ogg", sample_rate_hz=44100, num_samples=441000, channels=1)


def surveyed(count: int, size_bytes: int = 10_000) -> list[tuple[Clip, AudioInfo, int]]:
    return [
        (Clip(source_id=f"clip {n}", audio=f"{n}.ogg", subset="weak"), INFO, size_bytes)
        for n in range(count)
    ]


def test_every_clip_once_in_shards_of_the_target_size() -> None:
    plans = plan_shards(surveyed(100), 100_000, seed=3)
    ids = [clip.source_id for plan in plans for clip in plan.clips]
    assert sorted(ids) == sorted(f"clip {n}" for n in range(100))
    assert all(len(plan.clips) == 8 for plan in plans[:-1])  # 8 x (10752 + 1024) bytes
    assert [plan.name for plan in plans][:2] == ["shards/00000.tar", "shards/00001.tar"]


def test_the_order_is_a_function_of_the_seed() -> None:
    clips = surveyed(50)
    shuffled = random.Random(0).sample(clips, len(clips))
    assert plan_shards(clips, 100_000, 1) == plan_shards(shuffled, 100_000, 1)
    assert plan_shards(clips, 100_000, 1) != plan_shards(clips, 100_000, 2)


def test_a_clip_beyond_the_target_gets_a_shard() -> None:
    assert [len(plan.clips) for plan in plan_shards(surveyed(3), 1, 0)] == [1, 1, 1]
    assert plan_shards([], 1000, 0) == []
    with pytest.raises(ClipError, match="above 0"):
        plan_shards(surveyed(1), 0, 0)


def test_a_plan_survives_json() -> None:
    clip = Clip(source_id="ä", audio="ä.wav", subset="strong", events=(Event(0.0, 1.0, "x"),))
    plan = ShardPlan(name="shards/00000.tar", clips=(clip,))
    assert ShardPlan.from_json(plan.to_json()) == plan


def test_doubled_ids_name_both_files() -> None:
    first, second = surveyed(2)
    doubled = Clip(source_id=first[0].source_id, audio=second[0].audio, subset="weak")
    with pytest.raises(ClipError, match=r"clip 0: doubled id, of 0\.ogg and 1\.ogg"):
        plan_shards([first, (doubled, INFO, 1)], 1000, 0)


def test_stored_forms_and_sizes() -> None:
    assert stored_form(INFO, "keep", None) == ("ogg", 44100)
    assert stored_form(INFO, "keep", 44100) == ("ogg", 44100)
    assert stored_form(INFO, "keep", 32000) == ("flac", 32000)
    assert stored_form(INFO, "wav", None) == ("wav", 44100)
    assert predicted_bytes(INFO, 7, "keep", None) == 7
    assert predicted_bytes(INFO, 7, "wav", 22050) == 441000


def test_survey_reads_headers_and_moves_late_offsets(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.wav", seconds=1.0)
    clip = Clip(source_id="a", audio="a.wav", subset="strong", events=(Event(0.5, 1.2, "x"),))
    [found], skipped = survey(Store.local(tmp_path), [clip], classes=["x"])
    assert found.info == AudioInfo(codec="wav", sample_rate_hz=8000, num_samples=8000, channels=1)
    assert found.size_bytes == (tmp_path / "a.wav").stat().st_size
    assert found.clip.events == (Event(0.5, 1.0, "x"),)
    assert skipped == []


def test_survey_fails_or_lists(tmp_path: Path) -> None:
    clips = noise_clips(tmp_path, 3)
    (tmp_path / clips[0].audio).write_bytes(b"")
    store = Store.local(tmp_path)
    with pytest.raises(AudioError, match=r"noise_0\.5\.flac: got an empty file"):
        survey(store, clips)
    kept, [skipped] = survey(store, clips, on_error="skip")
    assert [each.clip for each in kept] == clips[1:]
    assert skipped.source_id == clips[0].source_id
    assert "empty file" in skipped.reason
    with pytest.raises(ClipError, match=r"noise_1\.5\.flac: got the label 'noise'"):
        survey(store, clips[1:], classes=["rain"])
    (tmp_path / clips[1].audio).unlink()
    with pytest.raises(FileNotFoundError):  # never taken for a bad clip
        survey(store, clips, on_error="skip")
