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


def test_a_store_that_is_waited_for_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at once, not of each request, and in one line."""
    now = [1000.0]
    monkeypatch.setattr(retry.time, "monotonic", lambda: now[0])
    monkeypatch.setenv(retry.SETTING, "120")
    told, error = retry.Told(), OSError("AWS Error\nNETWORK_CONNECTION")
    for second in range(90):
        now[0] = 1000.0 + second
        for name in ("a", "b"):  # two requests that wait
            told(name, error, 1000.0)
    assert caplog.messages == [
        f"a: no answer for {second} s (AWS Error NETWORK_CONNECTION); waiting for the store, up to "
        "120 s in all (PMAM_RETRY_S)"
        for second in (5, 35, 65)
    ]
    caplog.clear()
    told("a", error, now[0] + 100)  # one that has just failed
    assert caplog.messages == []
