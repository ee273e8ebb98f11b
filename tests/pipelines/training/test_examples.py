"""Training examples: which crop of a clip, and that its targets are those of the same frames."""

import shutil
from pathlib import Path

import numpy as np
import packing
import pytest
import tiny_models
import torch

from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.stages.finetune import FinetuneTask
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.examples import (
    CropReader,
    Span,
    TrainingClips,
    tag_targets,
)
from pipelines.training.settings import TrainSettings
from pipelines.training.stored_inputs import StoredInputs
from pmam.encoders.base import FrameEncoder
from pmam.events.event import Event as ModelEvent
from pmam.events.targets import encode
from pmam.models.checkpoint import pack_encoder
from shards.clip import Clip, Event
from shards.dataset import Dataset
from shards.errors import SettingsError
from shards.frames.frame_set import FrameSet
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter
from shards.index import IndexRow
from shards.io.store import Store
from shards.loading.examples import AudioReader, Example
from shards.loading.loader import Loader, Loading

RATE = 16000
HOP = 640  # samples of a frame
CROP_S = 0.4  # 10 frames
LONG_S, SHORT_S = 1.5, 0.23  # 38 frames (the last one in part), and 6
CLASSES = ("cat", "dog")
EVENTS = (Event(0.05, 0.62, "dog"), Event(0.5, 0.9, "cat"), Event(1.1, 1.5, "dog"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("examples")
    clips = []
    for number, (name, seconds) in enumerate({"long": LONG_S, "short": SHORT_S}.items()):
        packing.write_noise(folder / f"{name}.wav", seed=number, seconds=seconds, rate=RATE)
        events = tuple(e for e in EVENTS if e.offset_s <= seconds)
        clips.append(
            Clip(source_id=f"{name}-s", audio=f"{name}.wav", subset="strong", events=events)
        )
        weak = Clip(source_id=f"{name}-w", audio=f"{name}.wav", subset="weak", weak=("dog",))
        clips.append(weak)
    packed, _ = packing.pack(folder, clips, folder / "packed")
    return packed


@pytest.fixture(scope="module")
def encoder() -> FrameEncoder:
    return tiny_models.backbone().encoder


@pytest.fixture
def reader(dataset: Dataset, encoder: FrameEncoder) -> CropReader:
    return CropReader(encoder, CROP_S, AudioReader(dataset, RATE), seed=5)


def read(reader: CropReader, row: IndexRow, epoch: int) -> Example:
    """The crop of a clip in an epoch."""
    dataset = reader.clips.dataset  # type: ignore[attr-defined]
    [(_, samples)] = reader.clips.read([dataset.rows.index(row)])
    assert not isinstance(samples, Exception)
    return reader.crops.cut(row, samples, reader.clips.rate_hz(row), epoch)


def first_frame(reader: CropReader, row: IndexRow, epoch: int) -> int:
    return reader.span(read(reader, row, epoch)).first


def row_of(dataset: Dataset, source_id: str) -> IndexRow:
    return next(row for row in dataset.rows if row.source_id == source_id)


def test_a_crop_is_a_pure_function_of_seed_epoch_and_clip(
    dataset: Dataset, encoder: FrameEncoder, reader: CropReader
) -> None:
    row = row_of(dataset, "long-s")
    firsts = [first_frame(reader, row, step) for step in range(60)]
    again = CropReader(encoder, CROP_S, AudioReader(dataset, RATE), seed=5)
    assert [first_frame(again, row, step) for step in reversed(range(60))] == firsts[::-1]
    assert 0 <= min(firsts) < 4
    assert 24 < max(firsts) <= 28  # so that 10 of 38 frames are left
    assert len(set(firsts)) > 15
    other_seed = CropReader(encoder, CROP_S, AudioReader(dataset, RATE), seed=6)
    assert [first_frame(other_seed, row, step) for step in range(60)] != firsts
    other_clip = row_of(dataset, "long-w")
    assert [first_frame(reader, other_clip, step) for step in range(60)] != firsts


def test_a_crop_is_a_part_of_the_clip(dataset: Dataset, reader: CropReader) -> None:
    row = row_of(dataset, "long-s")
    samples = dataset.audio(row, RATE)
    for step in range(30):
        example = read(reader, row, step)
        assert example.samples.shape == (10 * HOP,)
        part = samples[reader.span(example).first * HOP :][: 10 * HOP]
        assert np.array_equal(example.samples[: len(part)], part)
        assert not example.samples[len(part) :].any()
        assert reader.span(example).frames == 10
        assert not example.is_whole


def test_a_short_clip_is_padded(dataset: Dataset, reader: CropReader) -> None:
    row = row_of(dataset, "short-s")
    example = read(reader, row, 3)
    samples = dataset.audio(row, RATE)
    assert np.array_equal(example.samples[: len(samples)], samples)
    assert not example.samples[len(samples) :].any()
    assert (reader.span(example), example.is_whole) == (Span(first=0, frames=6), True)
    both = [example, read(reader, row_of(dataset, "long-s"), 3)]
    assert reader.padding(both).tolist() == [[False] * 6 + [True] * 4, [False] * 10]
    assert reader.inputs(both).shape == (2, 40, 64)


def test_targets_are_those_of_the_same_frames(dataset: Dataset, reader: CropReader) -> None:
    row = row_of(dataset, "long-s")
    events = [ModelEvent(onset_s=e.onset_s, offset_s=e.offset_s, label=e.label) for e in EVENTS]
    whole = encode(events, CLASSES, 38, 0.04)
    frames = np.random.default_rng(0).random((38, 3)).astype(np.float32)
    for step in range(30):
        example = read(reader, row, step)
        there = slice(reader.span(example).first, reader.span(example).first + 10)
        assert np.array_equal(reader.event_targets(example, CLASSES), whole[there])
        assert np.array_equal(reader.frame_targets(example, frames), frames[there])
    # Against the seconds themselves: a frame is active where the event covers its middle.
    middles = (np.arange(38) + 0.5) * 0.04
    dog = ((middles > 0.05) & (middles < 0.62)) | ((middles > 1.1) & (middles < 1.5))
    edges = np.isclose(np.abs(middles[:, None] - [0.05, 0.62, 1.1, 1.5]).min(axis=1), 0, atol=0.021)
    assert np.array_equal(whole[~edges, 1], dog[~edges])


def test_targets_of_a_short_clip_are_padded(dataset: Dataset, reader: CropReader) -> None:
    example = read(reader, row_of(dataset, "short-s"), 0)
    frames = np.ones((6, 3), np.float32)
    assert reader.frame_targets(example, frames).sum(axis=1).tolist() == [3.0] * 6 + [0.0] * 4
    assert reader.event_targets(example, CLASSES).shape == (10, 2)
    assert not reader.event_targets(example, CLASSES).any()


def test_weak_labels_speak_of_whole_clips_alone(dataset: Dataset, tmp_path: Path) -> None:
    write_checkpoint(store(str(tmp_path)), "encoder", pack_encoder(tiny_models.backbone().encoder))
    training = TrainSettings(crop_s=CROP_S, batch={"strong": 1, "weak": 1})
    settings = FinetuneSettings(context=tiny_models.CONTEXT, training=training)
    start = str(tmp_path / "encoder")
    task = FinetuneTask(dataset.store.root, start, None, settings)
    names = ("long-w", "short-w", "long-s", "short-s")
    examples = [read(task.examples, row_of(dataset, name), 0) for name in names]
    batch = task._labelled(examples)
    assert batch.has_tags.tolist() == [False, True, False, False]
    assert batch.has_events.tolist() == [False, False, True, True]
    dog = task.classes.index("dog")
    assert batch.tags[1].tolist() == [float(n == dog) for n in range(len(task.classes))]
    assert tag_targets(row_of(dataset, "long-s"), CLASSES).tolist() == [1.0, 1.0]


def cached(folder: Path, dataset: Dataset, encoder: FrameEncoder, hop_s: float) -> FrameSet:
    spec = FrameSpec(kind="features", width=64, dtype="float32", hop_s=hop_s)
    with FrameWriter(folder / "inputs.arrow", spec) as writer:
        for row in dataset.rows:
            samples = torch.from_numpy(dataset.audio(row, RATE))[None]
            writer.add(row.key, encoder.inputs(samples)[0].numpy(), None)
    return FrameSet(Store.local(folder), ["inputs.arrow"])


def test_cached_inputs_give_the_same_crops(
    dataset: Dataset, encoder: FrameEncoder, reader: CropReader, tmp_path: Path
) -> None:
    frames = cached(tmp_path, dataset, encoder, encoder.input_hop_s)
    from_cache = CropReader(encoder, CROP_S, StoredInputs(dataset, encoder, frames), seed=5)
    row = row_of(dataset, "long-s")
    for step in range(20):
        one, two = read(reader, row, step), read(from_cache, row, step)
        assert reader.span(one) == from_cache.span(two)
        inner = slice(4, 36)  # at a crop's ends, spectrogram windows reach beyond it
        if from_cache.span(two).first < 28:
            a, b = reader.inputs([one])[0, inner], from_cache.inputs([two])[0, inner]
            assert torch.allclose(a, b, atol=1e-3)


def test_cached_inputs_of_another_encoder_are_refused(
    dataset: Dataset, encoder: FrameEncoder, tmp_path: Path
) -> None:
    frames = cached(tmp_path, dataset, encoder, 0.02)
    with pytest.raises(ValueError, match=r"64 channels every 0\.02 s, the encoder takes 64"):
        StoredInputs(dataset, encoder, frames)


def clips(dataset: Dataset, encoder: FrameEncoder, **batch: int) -> TrainingClips:
    return TrainingClips(dataset, encoder, batch=batch, crop_s=CROP_S, seed=5, stored_inputs=None)


def test_training_reads_what_the_loader_gives(dataset: Dataset, encoder: FrameEncoder) -> None:
    """One loader: rows, crops and ranks are those of `shards.loading`, at any first step."""
    of_training = clips(dataset, encoder, strong=2, weak=2)
    settings = Loading(
        per_batch={"strong": 2, "weak": 2},
        crop_s=CROP_S,
        crop_hop_s=encoder.hop_s,
        sample_rate_hz=RATE,
        seed=5,
    )
    expected = list(Loader(dataset, settings).batches(6))
    for first in (0, 4):
        for batch, other in zip(
            of_training.loader().batches(6, first=first), expected[first:], strict=True
        ):
            for one, two in zip(batch.examples, other.examples, strict=True):
                assert (one.row, one.start, one.epoch) == (two.row, two.start, two.epoch)
                assert np.array_equal(one.samples, two.samples)
    ranks = [list(of_training.loader(rank, 2).batches(6)) for rank in range(2)]
    for step, batch in enumerate(expected):
        shares = [example.row.key for rank in ranks for example in rank[step].examples]
        assert sorted(shares) == sorted(example.row.key for example in batch.examples)
        assert [r.key for r in of_training.everything.rows(step)] == [
            example.row.key for example in batch.examples
        ]


def test_usual_subsets_may_be_absent_and_others_not(
    dataset: Dataset, encoder: FrameEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    assert clips(dataset, encoder, strong=2, unlabeled=4).batch == {"strong": 2}
    assert "no clips of unlabeled: a batch is 2 strong" in caplog.text
    with pytest.raises(SettingsError, match=r"'week'; the dataset has strong \(2\), weak \(2\)"):
        clips(dataset, encoder, strong=2, week=4)
    with pytest.raises(SettingsError, match="'unlabeled'; the dataset has"):
        clips(dataset, encoder, unlabeled=4)


def test_a_local_cache_serves_a_dataset_that_went_away(
    dataset: Dataset, encoder: FrameEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMAM_CACHE", str(tmp_path / "cache"))
    copy = tmp_path / "copy"
    shutil.copytree(dataset.store.root, copy)

    def samples() -> list[list[float]]:
        here = Dataset.open(Store.local(copy))
        options = {"batch": {"strong": 2}, "crop_s": CROP_S, "seed": 5, "stored_inputs": None}
        cached = TrainingClips(here, encoder, cache_gb=0.01, **options)  # type: ignore[arg-type]
        batches = cached.loader().batches(3)
        return [example.samples.tolist() for batch in batches for example in batch.examples]

    first = samples()
    for shard in copy.rglob("*.tar"):
        shard.unlink()
    assert samples() == first
