"""The order for byte ranges: every clip once, equal shares, well mixed, no list in memory."""

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.columns import Chosen
from shards.loading.block_order import BlockOrder, Blocks, epoch_order
from shards.loading.sampling import Group, Indices

SIZES = st.integers(1, 700)


def same_block_share(indices: Indices, size: int, clips: int) -> float:
    """The share of neighbouring pairs of an order that lie less than a block apart.

    Blocks begin elsewhere in each epoch: so a pair is taken to be of one block when the clips
    lie less than `clips` apart, which counts a few pairs too many and none too few.
    """
    apart = np.abs(np.diff(indices))
    return float(np.mean(np.minimum(apart, size - apart) < clips))


@settings(deadline=None)
@given(SIZES, st.integers(1, 20), st.integers(1, 9), st.integers(0, 2**63))
def test_every_clip_once_in_an_epoch(size: int, clips: int, window: int, key: int) -> None:
    blocks = Blocks(clips=clips, window=window)
    indices, number = epoch_order(np.arange(size), size, key, blocks)
    assert sorted(indices) == list(range(size))
    some = np.arange(size)[::3]
    assert np.array_equal(epoch_order(some, size, key, blocks)[0], indices[::3])
    for block in np.unique(number):  # a block is one range of neighbours, around the end too
        steps = np.sort((indices[number == block] - indices[number == block][0]) % size)
        assert len(steps) <= clips
        assert ((steps < clips) | (steps > size - clips)).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 120), st.integers(1, 5), st.sampled_from([1, 2, 4]), st.integers(0, 2**31))
def test_ranks_take_equal_disjoint_parts_of_the_same_batches(
    size: int, quarter: int, world: int, seed: int
) -> None:
    group = Group(size=size, per_batch=4 * quarter)
    order = BlockOrder({"weak": group}, seed, Blocks(clips=4, window=3))
    seen = []
    for step in range(-(-2 * size // group.per_batch)):
        parts = [order.picks(step, rank, world)["weak"] for rank in range(world)]
        assert {len(part.indices) for part in parts} == {group.per_batch // world}
        together = sorted(np.concatenate([part.indices for part in parts]))
        assert together == sorted(order.batch(step)["weak"])
        seen += [pair for p in parts for pair in zip(p.epochs, p.indices, strict=True)]
    for epoch in range(2):
        assert sorted(i for e, i in seen if e == epoch) == list(range(size))


def test_shuffle_quality_is_what_the_docstring_says() -> None:
    size, blocks = 20_000, Blocks()
    expected = (blocks.clips - 1) / (blocks.clips * blocks.window)
    assert expected == pytest.approx(0.055, abs=0.0005)
    numbers = [epoch_order(np.arange(size), size, key, blocks) for key in range(5)]
    shares = [np.mean(block[1:] == block[:-1]) for _, block in numbers]
    assert np.mean(shares) == pytest.approx(expected, rel=0.05)
    measured = np.mean([same_block_share(indices, size, blocks.clips) for indices, _ in numbers])
    assert expected * 0.95 < measured < expected * 1.15
    full = np.random.default_rng(0).permutation(size)
    assert same_block_share(full, size, blocks.clips) < 0.002
    assert same_block_share(np.arange(size), size, blocks.clips) == 1.0


def test_other_neighbours_meet_in_each_epoch() -> None:
    size = 4096
    orders = [epoch_order(np.arange(size), size, key, Blocks())[0] for key in range(2)]
    places = [np.argsort(order) // 128 for order in orders]  # the window of each clip
    met = [set(np.flatnonzero(place == place[0])) for place in places]
    assert len(met[0] & met[1]) < 32
    assert np.abs(np.corrcoef(orders[0], orders[1])[0, 1]) < 0.1


def test_each_epoch_seed_and_group_has_an_order_of_its_own() -> None:
    size, per_batch = 640, 16

    def orders(seed: int) -> dict[tuple[int, str, int], tuple[int, ...]]:
        groups = {name: Group(size=size, per_batch=per_batch) for name in ("strong", "weak")}
        order = BlockOrder(groups, seed)
        found: dict[tuple[int, str, int], list[int]] = {}
        for step in range(4 * size // per_batch):
            for name, picks in order.picks(step).items():
                for epoch, index in zip(picks.epochs, picks.indices, strict=True):
                    found.setdefault((seed, name, int(epoch)), []).append(int(index))
        return {key: tuple(indices) for key, indices in found.items()}

    found = orders(0) | orders(1)
    assert len(found) == 2 * 2 * 4
    assert all(sorted(indices) == list(range(size)) for indices in found.values())
    assert len(set(found.values())) == len(found), "two of them are in the same order"
    # Not the same clips in each batch either, in another order or a turned one.
    batches = [
        {frozenset(o[at : at + per_batch]) for at in range(0, size, per_batch)}
        for o in found.values()
    ]
    assert all(not one & other for one, other in combinations(batches, 2))
    steps = [np.diff(o) % size for o in found.values()]
    assert all(np.mean(one == other) < 0.1 for one, other in combinations(steps, 2))


def test_a_hundred_million_clips_need_no_list() -> None:
    size = 10**8
    tracemalloc.start()
    order = BlockOrder({"weak": Group(size=size, per_batch=256)}, 3)
    picked = order.picks(123_456, rank=1, world_size=4)["weak"].indices
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(picked.tolist())) == 64
    assert 0 <= picked.min() <= picked.max() < size
    assert peak < 1_000_000


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=1500))
def test_a_selection_is_an_array_without_the_array(mask: list[bool]) -> None:
    chosen = Chosen(np.array(mask))
    wanted = np.flatnonzero(mask)
    assert len(chosen) == len(wanted)
    assert np.array_equal(chosen[np.arange(len(wanted))], wanted)


def test_a_selection_takes_about_one_bit_a_clip() -> None:
    chosen = Chosen(np.random.default_rng(0).random(10**6) < 0.3)
    assert chosen.nbytes < 1.14 * 10**6 / 8


def test_impossible_orders_say_why() -> None:
    with pytest.raises(ValueError, match="multiple of the number of workers"):
        BlockOrder({"a": Group(size=9, per_batch=3)}, 0).picks(0, 0, 2)
    with pytest.raises(ValueError, match="expected 1 or more"):
        Blocks(clips=0)
