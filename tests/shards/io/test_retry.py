"""How long a server is asked again."""

import random

import pytest

from shards.errors import SettingsError
from shards.io import retry


def test_waits_grow_and_end_after_two_minutes() -> None:
    for seed in range(50):
        random.seed(seed)
        waits = list(retry.waits())
        assert 70 < sum(waits) <= 120
        assert 8 <= len(waits) <= 16
        for number, wait_s in enumerate(waits):
            middle_s = min(0.25 * 2**number, 20.0)
            assert 0.5 * middle_s <= wait_s <= 1.5 * middle_s


def test_workers_that_failed_at_once_come_back_at_different_times() -> None:
    assert len({next(retry.waits()) for _ in range(20)}) == 20


def test_requests_that_take_long_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tries = 1
    for _ in retry.waits():
        now[0] += 50.0
        tries += 1
    assert tries == 4


def test_the_time_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMAM_RETRY_S", "0")
    assert list(retry.waits()) == []
    monkeypatch.setenv("PMAM_RETRY_S", "1000")
    assert sum(retry.waits()) > 900
    for wrong in ("soon", "-1", "inf", "nan"):
        monkeypatch.setenv("PMAM_RETRY_S", wrong)
        with pytest.raises(SettingsError, match=f"PMAM_RETRY_S={wrong}: expected"):
            next(retry.waits())
