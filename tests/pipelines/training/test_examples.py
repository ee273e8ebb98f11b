"""Training examples: which crop of a clip, and that its targets are those of the same frames."""

import threading
from pathlib import Path

import numpy as np
import packing
import pytest
import tiny_models
import torch

from pipelines.runtime.urls import store, write_checkpoint
from pipelines.stages.finetune import FinetuneTask
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.examples import Example, ExampleReader, prefetched, tag_targets
from pipelines.training.settings import TrainSettings
from pmam.encoders.base import FrameEncoder
from pmam.events.event import Event as ModelEvent
from pmam.events.targets import encode
from pmam.models.checkpoint import pack_encoder
from shards.clip import Clip, Event
from shards.dataset import Dataset
from shards.frames.reader import FrameSet, FrameSpec
from shards.frames.writer import FrameWriter
from shards.index import IndexRow
from shards.io.store import Store

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
def reader(dataset: Dataset, encoder: FrameEncoder) -> ExampleReader:
    return ExampleReader(dataset, encoder, CROP_S, None, seed=5)


def row_of(dataset: Dataset, source_id: str) -> IndexRow:
    return next(row for row in dataset.rows if row.source_id == source_id)


def test_a_crop_is_a_pure_function_of_seed_step_and_clip(
    dataset: Dataset, encoder: FrameEncoder, reader: ExampleReader
) -> None:
    row = row_of(dataset, "long-s")
    firsts = [reader.read(row, step).first_frame for step in range(60)]
    again = ExampleReader(dataset, encoder, CROP_S, None, seed=5)
    assert [again.read(row, step).first_frame for step in reversed(range(60))] == firsts[::-1]
    assert 0 <= min(firsts) < 4
    assert 24 < max(firsts) <= 28  # so that 10 of 38 frames are left
    assert len(set(firsts)) > 15
    other_seed = ExampleReader(dataset, encoder, CROP_S, None, seed=6)
    assert [other_seed.read(row, step).first_frame for step in range(60)] != firsts
    other_clip = row_of(dataset, "long-w")
    assert [reader.read(other_clip, step).first_frame for step in range(60)] != firsts


def test_a_crop_is_a_part_of_the_clip(dataset: Dataset, reader: ExampleReader) -> None:
    row = row_of(dataset, "long-s")
    samples = dataset.audio(row, RATE)
    for step in range(30):
        example = reader.read(row, step)
        assert example.units.shape == (10 * HOP,)
        part = samples[example.first_frame * HOP :][: 10 * HOP]
        assert np.array_equal(example.units[: len(part)], part)
        assert not example.units[len(part) :].any()
        assert example.frames == 10
        assert not example.is_whole


def test_a_short_clip_is_padded(dataset: Dataset, reader: ExampleReader) -> None:
    row = row_of(dataset, "short-s")
    example = reader.read(row, 3)
    samples = dataset.audio(row, RATE)
    assert np.array_equal(example.units[: len(samples)], samples)
    assert not example.units[len(samples) :].any()
    assert (example.first_frame, example.frames, example.is_whole) == (0, 6, True)
    both = [example, reader.read(row_of(dataset, "long-s"), 3)]
    assert reader.padding(both).tolist() == [[False] * 6 + [True] * 4, [False] * 10]
    assert reader.inputs(both).shape == (2, 40, 64)


def test_targets_are_those_of_the_same_frames(dataset: Dataset, reader: ExampleReader) -> None:
    row = row_of(dataset, "long-s")
    events = [ModelEvent(onset_s=e.onset_s, offset_s=e.offset_s, label=e.label) for e in EVENTS]
    whole = encode(events, CLASSES, 38, 0.04)
    frames = np.random.default_rng(0).random((38, 3)).astype(np.float32)
    for step in range(30):
        example = reader.read(row, step)
        there = slice(example.first_frame, example.first_frame + 10)
        assert np.array_equal(reader.event_targets(example, CLASSES), whole[there])
        assert np.array_equal(reader.frame_targets(example, frames), frames[there])
    # Against the seconds themselves: a frame is active where the event covers its middle.
    middles = (np.arange(38) + 0.5) * 0.04
    dog = ((middles > 0.05) & (middles < 0.62)) | ((middles > 1.1) & (middles < 1.5))
    edges = np.isclose(np.abs(middles[:, None] - [0.05, 0.62, 1.1, 1.5]).min(axis=1), 0, atol=0.021)
    assert np.array_equal(whole[~edges, 1], dog[~edges])


def test_targets_of_a_short_clip_are_padded(dataset: Dataset, reader: ExampleReader) -> None:
    example = reader.read(row_of(dataset, "short-s"), 0)
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
    examples = [task.reader.read(row_of(dataset, name), 0) for name in names]
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
    dataset: Dataset, encoder: FrameEncoder, reader: ExampleReader, tmp_path: Path
) -> None:
    frames = cached(tmp_path, dataset, encoder, encoder.input_hop_s)
    from_cache = ExampleReader(dataset, encoder, CROP_S, frames, seed=5)
    row = row_of(dataset, "long-s")
    for step in range(20):
        one, two = reader.read(row, step), from_cache.read(row, step)
        assert (one.first_frame, one.frames) == (two.first_frame, two.frames)
        inner = slice(4, 36)  # at a crop's ends, spectrogram windows reach beyond it
        if two.first_frame < 28:
            a, b = reader.inputs([one])[0, inner], from_cache.inputs([two])[0, inner]
            assert torch.allclose(a, b, atol=1e-3)


def test_cached_inputs_of_another_encoder_are_refused(
    dataset: Dataset, encoder: FrameEncoder, tmp_path: Path
) -> None:
    frames = cached(tmp_path, dataset, encoder, 0.02)
    with pytest.raises(ValueError, match=r"64 channels every 0\.02 s, the encoder takes 64"):
        ExampleReader(dataset, encoder, CROP_S, frames, seed=0)


def test_batches_come_in_order_from_another_thread() -> None:
    threads = set()

    def make(step: int) -> int:
        threads.add(threading.get_ident())
        return step * step

    assert list(prefetched(make, 3, 9)) == [9, 16, 25, 36, 49, 64]
    assert list(prefetched(make, 5, 5)) == []
    assert threading.get_ident() not in threads


def test_an_error_comes_at_its_step() -> None:
    def make(step: int) -> int:
        if step == 4:
            raise ValueError("clip 4 is broken")
        return step

    batches = prefetched(make, 0, 9)
    assert [next(batches) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="clip 4 is broken"):
        next(batches)


def test_no_more_than_asked_is_read_ahead() -> None:
    made: list[int] = []
    batches = prefetched(lambda step: made.append(step) or step, 0, 100, ahead=2)
    assert next(batches) == 0
    batches.close()  # type: ignore[attr-defined]
    assert max(made) <= 2


def test_an_example_is_plain_data(dataset: Dataset, reader: ExampleReader) -> None:
    example = reader.read(row_of(dataset, "short-w"), 0)
    assert isinstance(example, Example)
    assert example.units.dtype == np.float32
