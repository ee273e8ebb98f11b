"""Progress where there is no terminal: plain lines, each once, as often as said."""

import logging
import re
import time

import pytest

from pipelines.runtime.words import duration
from pipelines.runtime.workers import progress
from pipelines.runtime.workers.progress import bar, progress_line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_line_tells_stage_done_rate_and_what_is_left() -> None:
    """The rate is that of this process: what an earlier one did took no time here."""
    line = progress_line("pretrain (steps)", 1300, 2000, 300, 100.0, "loss 0.31")
    assert line == "pretrain       1 300/2 000 steps, 3 a second, 3 min 53 s left, loss 0.31"
    line = progress_line("embed (clips)", 10, 20, 1, 60.0)
    assert line == "embed          10/20 clips, 1 a minute, 10 min 00 s left"
    assert progress_line("pack", 5, 9, 0, 31.0) == "pack           5/9, none yet in 31 s"


def test_lines_come_again_and_end_with_the_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.05)
    caplog.set_level(logging.INFO, logger="pmam")
    with bar("pack (clips)", 100) as advance:
        for _ in range(4):
            advance(10, "")
            time.sleep(0.06)
    said = [record.getMessage() for record in caplog.records]
    time.sleep(0.12)
    assert [record.getMessage() for record in caplog.records] == said
    done = [
        int(re.match(r"pack +(\d+)/100 clips, [\d.]+ a second, \d+ s left$", line)[1])
        for line in said
    ]  # type: ignore[index]
    assert done == sorted(done)
    assert len(done) >= 2
    assert "\x1b" not in "".join(said)


def test_short_work_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pmam")
    with bar("pack (clips)", 100) as advance:
        advance(100, "")
    assert caplog.records == []
