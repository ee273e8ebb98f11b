"""The training order: permutations, exact epochs, equal shares, any step by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import SettingsError
from shards.loading.block_order import BlockOrder
from shards.loading.sampling import Group, permute


@given(st.integers(1, 3000), st.integers(0, 2**63))
def test_every_position_maps_to_another_index(size: int, key: int) -> None:
    assert sorted(permute(np.arange(size), size, key)) == list(range(size))


def test_orders_look_random() -> None:
    orders = np.stack([permute(np.arange(50), 50, key) for key in range(4000)])
    first = np.bincount(orders[:, 0], minlength=50)
    expected = 4000 / 50
    assert ((first - expected) ** 2 / expected).sum() < 100  # chi square, 49 degrees of freedom
    neighbours = np.abs(np.diff(orders.astype(int), axis=1))
    assert (neighbours == 1).mean() == pytest.approx(2 / 50, abs=0.005)


def test_a_hundred_million_clips_need_no_list() -> None:
    indices = permute(np.arange(10**8 - 1000, 10**8), 10**8, 7)
    assert len(set(indices.tolist())) == 1000
    assert indices.min() >= 0
    assert indices.max() < 10**8


@given(st.integers(1, 40), st.integers(1, 5), st.sampled_from([1, 2, 4]), st.integers(0, 2**31))
def test_every_clip_once_per_epoch_on_any_number_of_ranks(
    size: int, quarter: int, world_size: int, seed: int
) -> None:
    per_batch = 4 * quarter
    order = BlockOrder({"strong": Group(size=size, per_batch=per_batch)}, seed)
    ranks = range(world_size)
    steps = [
        np.concatenate([order.batch(step, rank, world_size)["strong"] for rank in ranks])
        for step in range(-(-3 * size // per_batch))
    ]
    counts = np.bincount(np.concatenate(steps), minlength=size)
    assert counts.min() >= 3
    for step, clips in enumerate(steps):
        assert sorted(clips) == sorted(order.batch(step)["strong"])


@given(st.integers(1, 60), st.integers(0, 2**31))
def test_the_order_does_not_depend_on_the_size_of_the_batch(size: int, seed: int) -> None:
    def order(per_batch: int) -> list[int]:
        """Of 24 clips."""
        batches = BlockOrder({"strong": Group(size=size, per_batch=per_batch)}, seed)
        return np.concatenate(
            [batches.batch(step)["strong"] for step in range(24 // per_batch)]
        ).tolist()

    assert order(1) == order(3) == order(12)


def test_epochs_and_seeds_differ_and_small_groups_cycle() -> None:
    groups = {
        "weak": Group(size=64, per_batch=8),
        "strong": Group(size=8, per_batch=8),
        "unlabeled": Group(size=0, per_batch=0),
    }
    order = BlockOrder(groups, 1)
    assert order.steps_per_epoch == 8
    first, second = order.batch(0), order.batch(1)
    assert set(first) == {"strong", "weak"}
    assert sorted(first["strong"]) == sorted(second["strong"]) == list(range(8))
    assert list(first["strong"]) != list(second["strong"])
    other = BlockOrder(groups, 2).batch(0)
    assert list(other["weak"]) != list(first["weak"])


def test_impossible_orders_say_why() -> None:
    with pytest.raises(SettingsError, match="no clips to train on"):
        BlockOrder({"strong": Group(size=0, per_batch=4)}, 0)
    with pytest.raises(SettingsError, match="multiple of the number of workers"):
        BlockOrder({"strong": Group(size=9, per_batch=3)}, 0).batch(0, 0, 2)
    with pytest.raises(SettingsError, match="seed -1"):
        BlockOrder({"strong": Group(size=9, per_batch=3)}, -1)
    with pytest.raises(SettingsError, match="rank 2 of 2"):
        BlockOrder({"strong": Group(size=9, per_batch=4)}, 0).batch(0, 2, 2)
