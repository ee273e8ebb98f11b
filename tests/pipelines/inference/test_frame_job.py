"""Frames of clips: long ones stream through, and are what whole clips in windows give."""

import tracemalloc
from pathlib import Path

import numpy as np
import packing
import pytest
import soundfile as sf
import tiny_models
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inference.frame_job import FrameFunction, FrameWorker
from pipelines.inference.frame_sampling import sampled
from pipelines.inference.settings import InferenceSettings
from pmam.encoders.base import FrameEncoder
from pmam.events.overlap_add import OverlapAdd, Windows, split
from shards.clip import Clip
from shards.dataset import Dataset
from shards.frames.reader import FrameFile, FrameSpec
from shards.io.store import Store

# Name: rate, channels, seconds.
CLIPS = {"a.wav": (44100, 2, 7.3), "b.flac": (8000, 1, 2.0), "c.wav": (16000, 1, 2.0),
         "d.ogg": (22050, 1, 4.1), "e.wav": (16000, 1, 2.0)}  # fmt: skip
SETTINGS = InferenceSettings(window_s=2.0, overlap_s=0.5, batch=3)


def function(encoder: FrameEncoder) -> FrameFunction:
    spec = FrameSpec(kind="features", width=64, dtype="float32", hop_s=encoder.hop_s)
    return FrameFunction(encoder=encoder, apply=encoder.pooled_inputs, spec=spec)


@pytest.fixture(scope="module")
def encoder() -> FrameEncoder:
    return tiny_models.backbone().encoder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("frames")
    generator = np.random.default_rng(0)
    for name, (rate_hz, channels, seconds) in CLIPS.items():
        samples = generator.uniform(-0.5, 0.5, (round(seconds * rate_hz), channels))
        sf.write(folder / name, samples, rate_hz)
    clips = [Clip(source_id=name, audio=name, subset="weak") for name in CLIPS]
    return packing.pack(folder, clips, folder / "packed", target_bytes=10**9)[0]


def frames(dataset: Dataset, out: Path, encoder: FrameEncoder, keep_every: int = 1) -> FrameFile:
    worker = FrameWorker(
        dataset.store.root, str(out), function, {"encoder": encoder}, SETTINGS,
        keep_every=keep_every, seed=4,
    )  # fmt: skip
    part = worker({"output": "frames/0.arrow", "keys": [row.key for row in dataset.rows]})
    assert part["clips"] == len(dataset.rows)
    file = FrameFile.open(Store.local(out), part["outputs"][0])
    assert part["frames"] == sum(file.count(row.key) for row in dataset.rows)
    return file


@torch.inference_mode()
def expected(dataset: Dataset, encoder: FrameEncoder, source_id: str) -> np.ndarray:
    """From the whole decoded clip: each window alone."""
    row = next(row for row in dataset.rows if row.source_id == source_id)
    samples = dataset.audio(row, encoder.sample_rate_hz)
    windows = Windows.of(SETTINGS.window_s, SETTINGS.overlap_s, encoder.hop_s)
    adder = OverlapAdd(windows.overlap)
    parts = []
    for first, window in split([samples], windows, round(encoder.hop_s * encoder.sample_rate_hz)):
        inputs = encoder.inputs(torch.from_numpy(window[None]))
        parts.append(adder.add(first, encoder.pooled_inputs(inputs)[0].numpy()))
    return np.concatenate([*parts, adder.finish()])


def test_streamed_clips_give_what_whole_clips_give(
    dataset: Dataset, encoder: FrameEncoder, tmp_path: Path
) -> None:
    file = frames(dataset, tmp_path, encoder)
    for row in dataset.rows:
        found, whole = file.read(row.key), expected(dataset, encoder, row.source_id)
        assert len(found) == -(-round(row.duration_s * 16_000) // 640)
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5)


def test_sampled_frames_are_those_of_all_frames(
    dataset: Dataset, encoder: FrameEncoder, tmp_path: Path
) -> None:
    every = frames(dataset, tmp_path / "all", encoder)
    few = frames(dataset, tmp_path / "few", encoder, keep_every=7)
    for row in dataset.rows:
        positions = few.positions(row.key)
        assert np.array_equal(positions // 7, np.arange(-(-every.count(row.key) // 7)))
        np.testing.assert_array_equal(few.read(row.key), every.read(row.key)[positions])


@given(
    st.integers(1, 200), st.integers(2, 9), st.lists(st.integers(0, 200), max_size=8), st.integers()
)
def test_the_choice_of_frames_does_not_depend_on_blocks(
    length: int, keep_every: int, cuts: list[int], seed: int
) -> None:
    values = np.arange(length, dtype=np.float32)[:, None]
    seed = abs(seed)
    [(_, whole), *rest] = sampled([values], keep_every, seed, "key")
    whole = np.concatenate([whole, *(positions for _, positions in rest)])
    pieces = np.split(values, sorted(min(cut, length) for cut in cuts))
    found = list(sampled(pieces, keep_every, seed, "key"))
    assert np.array_equal(np.concatenate([positions for _, positions in found]), whole)
    assert np.array_equal(np.concatenate([kept for kept, _ in found])[:, 0], whole)
    assert len(whole) == -(-length // keep_every)


def packed_minutes(folder: Path, minutes: int) -> Dataset:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 8000 * 60).astype(np.float32)
    with sf.SoundFile(folder / "x.flac", "w", 8000, 1) as file:
        for _ in range(minutes):
            file.write(noise)
    clip = Clip(source_id="x", audio="x.flac", subset="weak")
    return packing.pack(folder, [clip], folder / "packed")[0]


def peak_bytes(work) -> int:  # type: ignore[no-untyped-def]
    """What Python and numpy hold at most, which decoded audio is a part of."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_length_of_a_clip(
    encoder: FrameEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 more minutes are 31 MB of decoded samples at 16 kHz, and 3 MB of frames."""
    monkeypatch.setattr("shards.io.range_file.WHOLE_BYTES", 1 << 20)
    monkeypatch.setattr("shards.io.range_file.READ_AHEAD_BYTES", 1 << 18)
    monkeypatch.setattr("shards.frames.writer.BATCH_BYTES", 1 << 18)
    peaks = {}
    for minutes in (2, 10):
        folder = tmp_path / str(minutes)
        packing_peak = peak_bytes(lambda: packed_minutes(folder, minutes))  # noqa: B023
        dataset = Dataset.open(Store.local(folder / "packed"))
        embedding = peak_bytes(lambda: frames(dataset, folder / "out", encoder))  # noqa: B023
        peaks[minutes] = (packing_peak, embedding)
    for short, long in zip(peaks[2], peaks[10], strict=True):
        assert long < short + (1 << 20), peaks
