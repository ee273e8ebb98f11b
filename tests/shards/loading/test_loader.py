"""The loader: exact epochs, proportions, seeded crops, and a state for any number of ranks."""

import json
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from packing import pack, write_noise

from shards.clip import Clip
from shards.dataset import Dataset, ReadError
from shards.errors import SettingsError
from shards.loading.block_order import Blocks
from shards.loading.examples import crop_start
from shards.loading.loader import Batch, Loader, Loading, StateError, evaluation
from shards.loading.prefetch import FileReader, Reading

SUBSETS = {"strong": 10, "synthetic": 7, "weak": 23, "unlabeled": 61}
PER_BATCH = {"strong": 4, "synthetic": 2, "weak": 6, "unlabeled": 6}
SETTINGS = Loading(per_batch=PER_BATCH, crop_s=0.3, seed=5, blocks=Blocks(clips=4, window=3))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("loader")
    clips = []
    for subset, count in SUBSETS.items():
        for number in range(count):
            name = f"{subset}-{number}.wav"
            write_noise(folder / "in" / name, seed=number, seconds=0.2 + 0.1 * (number % 3))
            clips.append(Clip(source_id=name, audio=name, subset=subset))
    return pack(folder / "in", clips, folder / "out", target_bytes=60_000)[0]


def keys(batches: Iterable[Batch]) -> list[list[str]]:
    return [
        [example.row.key for group in batch.groups.values() for example in group]
        for batch in batches
    ]


def test_every_clip_of_the_largest_group_once_an_epoch_and_small_ones_cycle(
    dataset: Dataset,
) -> None:
    loader = Loader(dataset, SETTINGS)
    assert loader.steps_per_epoch == 11
    batches = list(loader.batches(22))
    assert {n: len(g) for n, g in batches[0].groups.items()} == PER_BATCH
    for name, size in SUBSETS.items():
        seen = [example.row.key for batch in batches for example in batch.groups[name]]
        assert {row.key for row in dataset.select([name])} == set(seen)
        for epoch in range(len(seen) // size):
            assert len(set(seen[epoch * size : (epoch + 1) * size])) == size
    assert all(e.row.subset == n for n, g in batches[0].groups.items() for e in g)


def test_two_ranks_read_what_one_reads(dataset: Dataset) -> None:
    alone = keys(Loader(dataset, SETTINGS).batches(11))
    ranks = [keys(Loader(dataset, SETTINGS, rank=r, world_size=2).batches(11)) for r in range(2)]
    for step, batch in enumerate(alone):
        assert len(ranks[0][step]) == len(ranks[1][step])
        assert sorted(ranks[0][step] + ranks[1][step]) == sorted(batch)


def test_a_state_goes_on_with_the_next_unseen_clip_on_other_ranks(dataset: Dataset) -> None:
    whole = list(Loader(dataset, SETTINGS).batches(12))
    first = list(Loader(dataset, SETTINGS, rank=1, world_size=2).batches(5))
    state = json.loads(json.dumps(first[-1].state))
    assert len(json.dumps(state)) < 300
    rest = list(Loader(dataset, SETTINGS, state=state).batches(7))
    assert keys(rest) == keys(whole[5:])
    assert rest[-1].state == whole[-1].state
    samples = [e.samples for b in rest for g in b.groups.values() for e in g]
    expected = [e.samples for b in whole[5:] for g in b.groups.values() for e in g]
    assert all(np.array_equal(a, b) for a, b in zip(samples, expected, strict=True))


def test_a_state_goes_on_with_another_batch_size(dataset: Dataset) -> None:
    small = Loading(per_batch={"unlabeled": 3}, blocks=SETTINGS.blocks)
    large = Loading(per_batch={"unlabeled": 13}, blocks=SETTINGS.blocks)
    first = list(Loader(dataset, small).batches(7))
    rest = list(Loader(dataset, large, state=first[-1].state).batches(4))
    seen = Counter(key for batch in keys(first + rest) for key in batch)
    assert sum(seen.values()) == 73
    assert len(seen) == 61  # the epoch is complete, and 12 clips of the next one follow
    assert sorted(seen.values()) == [1] * 49 + [2] * 12


def test_a_foreign_state_is_refused(dataset: Dataset) -> None:
    state = Loader(dataset, SETTINGS).state(3)
    for change in ({"seed": 6}, {"block_clips": 5}, {"sizes": {"weak": 3}}):
        with pytest.raises(StateError, match=next(iter(change))):
            Loader(dataset, SETTINGS, state={**state, **change})


def test_crops_and_padding(dataset: Dataset) -> None:
    starts = set()
    for batch in Loader(dataset, SETTINGS).batches(15):
        for example in batch.groups["unlabeled"]:
            clip = dataset.audio(example.row)
            assert example.samples.shape == (2400,)
            assert example.held == min(2400, len(clip))
            part = clip[example.start : example.start + 2400]
            assert np.array_equal(example.samples[: example.held], part)
            assert not example.samples[example.held :].any()
            if len(clip) > 2400:
                starts.add(example.start)
    assert len(starts) > 10
    assert min(starts) >= 0
    assert max(starts) <= 800


def test_crop_starts_are_uniform_and_depend_on_seed_epoch_and_key_alone() -> None:
    starts = [crop_start(1, epoch, f"k{n}", 9) for epoch in range(20) for n in range(100)]
    counts = np.bincount(starts, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 30  # chi square, 9 degrees of freedom
    assert crop_start(1, 2, "k", 10**6) == crop_start(1, 2, "k", 10**6)
    assert len({crop_start(s, e, k, 10**6) for s in (1, 2) for e in (1, 2) for k in "ab"}) == 8
    assert crop_start(1, 2, "k", 0) == crop_start(1, 2, "k", -5) == 0


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_each_clip_once_and_fills_with_weight_0(
    dataset: Dataset, world: int
) -> None:
    ranks = [list(evaluation(dataset, "weak", 6, rank=r, world_size=world)) for r in range(world)]
    assert {len(batches) for batches in ranks} == {4}
    assert {len(batch) for batches in ranks for batch in batches} == {6 // world}
    examples = [example for batches in ranks for batch in batches for example in batch]
    real = [example for example in examples if example.weight == 1]
    assert sorted(e.row.key for e in real) == sorted(r.key for r in dataset.select(["weak"]))
    assert [e.weight for e in examples if e.weight != 1] == [0.0]
    assert all(np.array_equal(e.samples, dataset.audio(e.row)) for e in real)
    with pytest.raises(SettingsError, match="the dataset has strong"):
        evaluation(dataset, "none", 6)


def broken(dataset: Dataset, key: str) -> Dataset:
    """The dataset with a checksum that the clip does not have."""
    sums = [row.crc32 ^ (row.key == key) for row in dataset.rows]
    place = dataset.table.schema.get_field_index("crc32")
    column = pa.array(sums, pa.uint32())
    table = dataset.table.set_column(place, dataset.table.schema.field(place), column)
    return Dataset(dataset.store, dataset.manifest, table)


def test_a_clip_that_cannot_be_read_ends_it_or_is_silence_and_listed(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    row = dataset.select(["unlabeled"])[7]
    bad = broken(dataset, row.key)
    settings = Loading(per_batch={"unlabeled": 61}, crop_s=0.3)
    with pytest.raises(ReadError, match=f"{row.shard}: clip {row.key} at offset {row.offset}"):
        list(Loader(bad, settings).batches(1))
    tolerant = Loading(per_batch={"unlabeled": 61}, crop_s=0.3, on_error="silence")
    loader = Loader(bad, tolerant)
    examples = next(loader.batches(1)).groups["unlabeled"]
    assert [e.row.key for e in examples if e.weight == 0] == [row.key]
    assert len(loader.failed) == 1
    assert row.key in caplog.text
    silent = next(e for e in examples if e.weight == 0)
    assert silent.samples.shape == (2400,)
    assert not silent.samples.any()


def test_budgets_and_threads_change_nothing(dataset: Dataset) -> None:
    expected = keys(Loader(dataset, SETTINGS).batches(6))
    for reading in (Reading(budget_bytes=1), Reading(budget_bytes=70_000, threads=1)):
        settings = Loading(
            per_batch=PER_BATCH, crop_s=0.3, seed=5, blocks=SETTINGS.blocks, reading=reading
        )
        assert keys(Loader(dataset, settings).batches(6)) == expected


def test_ending_a_reader_waits_for_no_thread(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector may end it inside a starting thread, which holds locks of `threading`."""

    def join(*_: object, **__: object) -> None:
        raise AssertionError("a thread was waited for")

    for clips in (
        FileReader(dataset, Reading(threads=8)).read(range(60)),
        Loader(dataset, SETTINGS).batches(),
    ):
        next(clips)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "join", join)
            clips.close()


def test_evaluation_gives_a_clip_that_cannot_be_read_as_silence_and_lists_it(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    rows = dataset.select(["weak"])
    for row in (rows[3], rows[-1]):  # the last one fills the last batch, too
        bad = broken(dataset, row.key)
        batches = evaluation(bad, "weak", 6)
        for _ in range(2):  # counted anew in each pass
            examples = [example for batch in batches for example in batch]
            assert len(examples) == 24
            assert len(batches.failed) == 1
            assert row.key in batches.failed[0]
        silent = [e for e in examples if e.row.key == row.key]
        assert {e.weight for e in silent} == {0.0}
        assert all(len(e.samples) == row.num_samples and not e.samples.any() for e in silent)
        real = {e.row.key for e in examples if e.weight}
        assert real == {other.key for other in rows} - {row.key}
        assert row.key in caplog.text
        with pytest.raises(ReadError, match=row.key):
            list(evaluation(bad, "weak", 6, on_error="fail"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"per_batch": {"unlabeled": 4, "week": 2}}, r"'week'.*strong \(10\).*weak \(23\)"),
        ({"per_batch": {"unlabeled": 4}, "seed": -1}, "seed -1"),
        ({"per_batch": {"unlabeled": 4}, "crop_s": 0.0}, "crop_s 0"),
        ({"per_batch": {"unlabeled": 4}, "crop_s": float("nan")}, "crop_s nan"),
        ({"per_batch": {"unlabeled": 4}, "crop_s": 1.0, "crop_hop_s": -0.1}, "hop_s -0.1"),
        ({"per_batch": {"unlabeled": -4}}, "-4 unlabeled clips a batch"),
        ({"per_batch": {"unlabeled": 0}}, "a batch of no clips"),
        ({"per_batch": {}}, "a batch of no clips"),
    ],
)
def test_settings_that_give_no_batches_are_one_line(
    dataset: Dataset, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        Loader(dataset, Loading(**options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rank", "world_size"), [(2, 2), (-1, 2), (0, 0), (0, -1), (5, 3)])
def test_a_rank_outside_the_world_is_refused(dataset: Dataset, rank: int, world_size: int) -> None:
    with pytest.raises(SettingsError, match=rf"rank {rank} of {world_size} workers"):
        Loader(dataset, SETTINGS, rank=rank, world_size=world_size)
    with pytest.raises(SettingsError, match=rf"rank {rank} of {world_size} workers"):
        evaluation(dataset, "weak", 6, rank=rank, world_size=world_size)


def test_a_share_of_nothing_of_a_subset_that_is_not_there_is_fine(dataset: Dataset) -> None:
    settings = Loading(per_batch={"unlabeled": 4, "week": 0})
    assert list(next(Loader(dataset, settings).batches(1)).groups) == ["unlabeled"]


def test_crops_on_a_grid_begin_and_end_at_its_steps(dataset: Dataset) -> None:
    settings = Loading(per_batch={"unlabeled": 6}, crop_s=0.26, crop_hop_s=0.04, seed=5)
    starts = set()
    for batch in Loader(dataset, settings).batches(40):
        for example in batch.examples:
            clip = dataset.audio(example.row)
            assert len(example.samples) == 6 * 320  # 0.26 s is 6.5 steps of 0.04 s
            assert example.start % 320 == 0
            part = clip[example.start :][: 6 * 320]
            assert np.array_equal(example.samples[: example.held], part)
            assert example.held == len(part)
            assert not example.samples[example.held :].any()
            assert example.is_whole == (len(clip) <= 6 * 320)
            starts.add(example.start // 320)
    assert starts == {0, 1, 2, 3, 4}  # the longest have 2400 + 800 samples: 10 steps


def test_only_some_keys_and_the_rows_of_a_step(dataset: Dataset) -> None:
    keys_of = {row.key for row in dataset.select(["weak"])[::2]}
    loader = Loader(dataset, Loading(per_batch={"weak": 4}), keys=keys_of)
    seen = {key for batch in keys(loader.batches(3)) for key in batch}
    assert seen == keys_of
    assert [row.key for row in loader.rows(2)] == keys(loader.batches(3))[2]
    with pytest.raises(SettingsError, match="among the chosen ones"):
        Loader(dataset, Loading(per_batch={"weak": 4}), keys=["nobody"])
