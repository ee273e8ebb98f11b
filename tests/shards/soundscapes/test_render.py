import csv
import hashlib
import io
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from soundscape_cases import (
    BACKGROUNDS,
    BARKS,
    FOREGROUNDS,
    HALLS,
    RATE_HZ,
    READ,
    ROOM_SAMPLES,
    ROOMS,
    SETTINGS,
    clips,
    db,
    rms,
)

from shards.audio.decoding import AudioError, decode
from shards.audio.encoding import encode
from shards.io.store import Store
from shards.soundscapes.demo_sounds import write_demo_recordings
from shards.soundscapes.plan import (
    SPLIT_OF_SUBSET,
    plan,
    plan_subsets,
    trim_background,
    trim_foreground,
)
from shards.soundscapes.recordings import class_folders, part_backgrounds, split_by_fold
from shards.soundscapes.render import (
    RecordingReader,
    render,
    render_clip,
    render_parts,
)
from shards.soundscapes.render import tables as label_tables
from shards.soundscapes.scene import Soundscape, SoundscapeError, SoundscapeSettings

FOLDS = {"train": ["1", "2", "3"], "validation": ["4"], "test": ["5"]}


def test_rendered_levels_are_the_planned_ones():
    for clip in clips(30):
        background, events = render_parts(clip, READ)
        assert db(rms(background)) == pytest.approx(clip.background.level_dbfs, abs=1e-9)
        for event, samples in zip(clip.events, events, strict=True):
            span = background[event.onset_sample : event.onset_sample + event.num_samples]
            assert db(rms(samples) / rms(span)) == pytest.approx(event.snr_db, abs=1e-9)


def test_the_snr_holds_in_the_encoded_clip_too():
    quiet = {"snr_max_db": 10.0}  # no clip is turned down
    for clip in clips(10, **quiet):
        alone = decode(render_clip(replace(clip, events=()), READ), "x").astype(np.float64)
        for event in clip.events:
            both = decode(render_clip(replace(clip, events=(event,)), READ), "x")
            span = slice(event.onset_sample, event.onset_sample + event.num_samples)
            measured = db(rms((both - alone)[span]) / rms(alone[span]))
            assert measured == pytest.approx(event.snr_db, abs=0.05)
            outside = np.delete(both - alone, np.r_[span])
            assert np.abs(outside).max(initial=0) == 0


def test_an_event_is_its_recording_with_faded_ends():
    clip = next(clip for clip in clips(20) if clip.events)
    event = clip.events[0]
    samples = render_parts(clip, READ)[1][0]
    source = READ(event.recording)[event.start_sample : event.start_sample + event.num_samples]
    fade = round(0.01 * RATE_HZ)
    gains = samples[fade:-fade] / source[fade:-fade]
    np.testing.assert_allclose(gains, gains[0], rtol=1e-6)
    assert samples[0] == 0 and abs(samples[-1]) < 1e-12


def test_loud_clips_are_turned_down_as_a_whole():
    loud = clips(3, background_min_dbfs=-6, background_max_dbfs=-6)
    for clip in loud:
        background, events = render_parts(clip, READ)
        for event, samples in zip(clip.events, events, strict=True):
            background[event.onset_sample : event.onset_sample + event.num_samples] += samples
        rendered = render(clip, READ)
        assert np.abs(rendered).max() == pytest.approx(0.99, abs=1e-6)
        ratio = 0.99 / np.abs(background).max()
        np.testing.assert_allclose(rendered, background * ratio, atol=1e-6)


def test_a_short_background_goes_round_without_a_seam():
    times = np.arange(RATE_HZ * 3) / RATE_HZ
    tone = np.sin(2 * np.pi * 220 * times).astype(np.float32)
    asked = replace(SETTINGS, events_min=0, events_max=0, white_noise_share=0.0)
    clip = plan(asked, "test", 1, FOREGROUNDS, ROOMS)[0]
    background = render(clip, lambda name: tone)
    assert len(background) == 10 * RATE_HZ
    steps = np.abs(np.diff(background))
    assert steps.max() < 1.6 * np.percentile(steps, 99)
    windows = np.abs(background).reshape(-1, RATE_HZ // 20).max(axis=1)
    assert windows.min() > 0.6 * windows.max()


def test_a_pause_in_the_background_does_not_hide_the_event():
    gappy = np.concatenate([ROOM_SAMPLES["train/room/0.wav"][:RATE_HZ], np.zeros(9 * RATE_HZ)])
    asked = replace(SETTINGS, white_noise_share=0.0, textures=())
    clip = plan(asked, "strong", 1, BARKS, [replace(HALLS[0], parts=((0, len(gappy)),))])[0]
    background, events = render_parts(
        clip, lambda name: gappy.astype(np.float32) if "hall" in name else READ(name)
    )
    for samples in events:
        assert db(rms(samples) / rms(background)) >= -20.0 - 1e-9


def test_a_recording_that_changed_since_planning_is_an_error():
    clip = clips(1)[0]
    with pytest.raises(AudioError, match=r"plan again: the recording has changed"):
        render(clip, lambda name: np.zeros(10, np.float32))


PRINT_HASHES = """
import sys, hashlib
from shards.soundscapes.render import RecordingReader, render_clip
from shards.soundscapes.scene import Soundscape
from shards.io.store import Store
read = RecordingReader({"foreground": Store.local(sys.argv[1] + "/foreground"),
                        "background": Store.local(sys.argv[1] + "/background")}, 8000)
for line in sys.stdin:
    print(hashlib.sha256(render_clip(Soundscape.from_json(line), read)).hexdigest())
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A reader of made recordings, and the trimmed recordings of each split."""
    store = Store.local(tmp_path_factory.mktemp("demo"))
    write_demo_recordings(store, seed=0, per_class=5, backgrounds_per_kind=5)
    folders = {name: store.child(name) for name in ("foreground", "background")}
    read = RecordingReader(folders, RATE_HZ)
    asked = replace(SETTINGS, textures=("engine", "water"))
    splits = {}
    for name, trim in (("foreground", trim_foreground), ("background", trim_background)):
        found = split_by_fold(class_folders(folders[name], name), FOLDS)
        splits[name] = {
            split: [trim(asked, recording, read) for recording in members]
            for split, members in found.items()
        }
    return asked, store.root, read, splits["foreground"], splits["background"]


def test_two_processes_render_the_same_bytes(demo):
    asked, root, read, foregrounds, backgrounds = demo
    plans = plan(asked, "strong", 4, foregrounds["train"], backgrounds["train"])
    lines = "".join(f"{clip.to_json()}\n" for clip in plans)
    elsewhere = subprocess.run(
        [sys.executable, "-c", PRINT_HASHES, root],
        input=lines, capture_output=True, text=True, check=True,
        cwd=Path(__file__).resolve().parents[3],
    )  # fmt: skip
    here = [hashlib.sha256(render_clip(clip, read)).hexdigest() for clip in reversed(plans)]
    assert elsewhere.stdout.split() == here[::-1]


def test_subsets_share_no_source_across_splits(demo):
    asked, _, _, foregrounds, backgrounds = demo
    counts = {"strong": 5, "weak": 20, "unlabeled": 5, "validation": 20, "test": 20}
    plans = plan_subsets(asked, counts, foregrounds, backgrounds)
    assert len({clip.id for clip in plans}) == sum(counts.values())
    used = {"train": set(), "validation": set(), "test": set()}
    for clip in plans:
        sources = {event.source for event in clip.events} | {clip.background.source}
        used[SPLIT_OF_SUBSET[clip.subset]] |= sources - {None}
    assert all(used.values())
    assert not used["train"] & used["test"]
    assert not used["train"] & used["validation"]
    assert not used["validation"] & used["test"]


def test_subsets_that_cannot_be_planned_are_one_line_errors(demo):
    asked, _, _, foregrounds, backgrounds = demo
    leaky = {**foregrounds, "test": foregrounds["test"] + foregrounds["train"][:1]}
    no_test = {split: backgrounds[split] for split in ("train", "validation")}
    for arguments, reason in (
        (({"test": 1}, leaky, backgrounds), "is in the splits 'train' and 'test'"),
        (({"dev": 1}, foregrounds, backgrounds), "got dev=1; expected a count for some of strong"),
        (({"weak": -1}, foregrounds, backgrounds), "got weak=-1"),
        (({"test": 1}, foregrounds, no_test), "test: no background recordings"),
        (({"test": 1}, {}, backgrounds), "test: no foreground recordings"),
    ):
        with pytest.raises(SoundscapeError, match=reason) as error:
            plan_subsets(asked, *arguments)
        assert "\n" not in str(error.value)
    with pytest.raises(SoundscapeError, match="textures: got 'wind'"):
        plan(replace(asked, textures=("wind",)), "test", 1, FOREGROUNDS, BACKGROUNDS)


def test_a_written_folder_has_audio_and_tables_in_deseds_layout(tmp_path):
    store = Store.local(tmp_path)
    asked = replace(SETTINGS, events_min=0)
    written = {}
    for subset in ("strong", "weak", "unlabeled"):
        written[subset] = plan(asked, subset, 12, FOREGROUNDS, BACKGROUNDS)
        for name, data in label_tables(written[subset], ".flac").items():
            store.write(name, data)
        for clip in written[subset]:
            store.write(f"{subset}/{clip.id}.flac", render_clip(clip, READ, "flac"))

    def rows(name):
        return list(csv.DictReader(io.StringIO(store.read(name).decode()), delimiter="\t"))

    for subset, table in (("strong", "metadata"), ("weak", "truth"), ("unlabeled", "truth")):
        listed = rows(f"{table}/{subset}.tsv")
        assert {row["filename"] for row in listed} == {f"{c.id}.flac" for c in written[subset]}
        for clip in written[subset]:
            mine = [row for row in listed if row["filename"] == f"{clip.id}.flac"]
            if not clip.events:
                assert [mine[0][key] for key in ("onset", "offset", "event_label")] == [""] * 3
                continue
            for row, (onset_s, offset_s, label) in zip(mine, clip.strong(), strict=True):
                assert float(row["onset"]) == pytest.approx(onset_s, abs=5.1e-4)
                assert float(row["offset"]) == pytest.approx(offset_s, abs=5.1e-4)
                assert row["event_label"] == label
    assert any(not clip.events for clip in written["strong"])
    for row, clip in zip(rows("metadata/weak.tsv"), written["weak"], strict=True):
        assert row["event_labels"] == ",".join(sorted({event.label for event in clip.events}))
    assert store.read("metadata/unlabeled.tsv").startswith(b"filename\nunlabeled-000000.flac\n")
    clip = written["weak"][3]
    samples = decode(store.read(f"weak/{clip.id}.flac"), clip.id)
    np.testing.assert_allclose(samples, render(clip, READ), atol=2**-16)
    lines = store.read("recipes/weak.jsonl").decode().splitlines()
    assert [Soundscape.from_json(line) for line in lines] == written["weak"]
    assert set(label_tables(written["strong"])) == {
        "metadata/strong.tsv",
        "recipes/strong.jsonl",
    }


def test_the_reader_keeps_what_fits_and_forgets_the_oldest(tmp_path):
    store = Store.local(tmp_path)
    for name in "abc":
        store.write(f"{name}.wav", encode(np.full(1000, 0.1, np.float32), RATE_HZ, "wav"))
    read = RecordingReader({"x": store}, RATE_HZ, cache_bytes=8000)
    first = read("x/a.wav")
    assert read("x/a.wav") is first
    read("x/b.wav"), read("x/c.wav")  # each is 4000 bytes
    assert read("x/a.wav") is not first
    store.write("nan.wav", b"RIFF")
    with pytest.raises(AudioError, match=r"nan\.wav"):
        read("x/nan.wav")


def test_real_recordings_give_events_of_sensible_lengths_quickly(shared_dir):
    audio = Store.local(shared_dir / "data/esc10/audio")
    textures = ("chainsaw", "clock_tick", "fire_crackling", "helicopter")
    asked = SoundscapeSettings(textures=textures)
    read = RecordingReader({"audio": audio}, asked.sample_rate_hz)
    some = [r for r in class_folders(audio, "audio") if r.fold == "4" and r.source < "3"]
    sounds, scenes = part_backgrounds(some, ["rain", "sea_waves"])
    plans = plan(
        asked,
        "validation",
        100,
        [trim_foreground(asked, recording, read) for recording in sounds],
        [trim_background(asked, recording, read) for recording in scenes],
    )
    lengths = {}
    for clip in plans:
        for onset_s, offset_s, label in clip.strong():
            lengths.setdefault(label, []).append(offset_s - onset_s)
    assert len(lengths) == 8
    assert np.median(lengths["person_sneeze"]) < 1 < np.median(lengths["rooster"]) < 3.5
    for label in textures:
        assert 1.5 < np.median(lengths[label]) < 4.5
    started = time.perf_counter()
    for clip in plans[:20]:
        assert len(render_clip(clip, read)) > 10_000
    assert time.perf_counter() - started < 20 * 0.2  # 9 ms each where this was written
