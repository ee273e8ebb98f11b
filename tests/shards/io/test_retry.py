"""How long an object store is asked again; the same rule for datasets and for downloads."""

import random
from types import ModuleType

import pytest

import cluster.storage.retry
import shards.io.retry
from cluster.errors import ClusterError
from shards.errors import SettingsError

BOTH = pytest.mark.parametrize("rule", [shards.io.retry, cluster.storage.retry])


@BOTH
def test_waits_grow_and_end_after_two_minutes(rule: ModuleType) -> None:
    for seed in range(50):
        random.seed(seed)
        waits = list(rule.waits())
        assert 70 < sum(waits) <= 120
        assert 8 <= len(waits) <= 16
        for number, wait_s in enumerate(waits):
            middle_s = min(0.25 * 2**number, 20.0)
            assert 0.5 * middle_s <= wait_s <= 1.5 * middle_s


@BOTH
def test_workers_that_failed_at_once_come_back_at_different_times(rule: ModuleType) -> None:
    assert len({next(rule.waits()) for _ in range(20)}) == 20


@BOTH
def test_requests_that_take_long_count_too(
    rule: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tries = 1
    for _ in rule.waits():
        now[0] += 50.0
        tries += 1
    assert tries == 4


@BOTH
def test_the_time_is_a_setting(rule: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMAM_RETRY_S", "0")
    assert list(rule.waits()) == []
    monkeypatch.setenv("PMAM_RETRY_S", "1000")
    assert sum(rule.waits()) > 900
    for wrong in ("soon", "-1", "inf", "nan"):
        monkeypatch.setenv("PMAM_RETRY_S", wrong)
        with pytest.raises((SettingsError, ClusterError), match=f"PMAM_RETRY_S={wrong}: expected"):
            next(rule.waits())


def test_both_rules_are_one() -> None:
    random.seed(1)
    ours = list(shards.io.retry.waits())
    random.seed(1)
    assert ours == list(cluster.storage.retry.waits())
