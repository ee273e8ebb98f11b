"""Stages are skipped, continued or started over by what they are made of."""

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.runtime.stage import (
    Stage,
    StageError,
    fingerprint_of,
    listing_fingerprint,
    run_stage,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    k: int = 3


class Work:
    """Counts its calls; writes one file, and fails where asked after another."""

    def __init__(self, fails: bool = False) -> None:
        self.calls, self.fails = 0, fails
        self.found: list[str] = []

    def __call__(self, stage: Stage) -> dict[str, int]:
        self.calls += 1
        self.found = [n for n in stage.store.names() if n not in ("plan.json", "stage.json")]
        stage.store.write("half", b"1")
        if self.fails:
            raise ValueError("broke")
        stage.store.write("whole", b"22")
        return {"answer": 42}


def do(
    folder: Path, work: Work, k: int = 3, source: str = "a", version: int = 2, **options: Any
) -> dict:
    inputs = {"source": source}
    settings = Settings(k=k)
    return run_stage(
        "work-1", str(folder), work, settings=settings, inputs=inputs, version=version, **options
    )


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its time, set aside or not."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_the_same_work_is_done_once(tmp_path: Path) -> None:
    work = Work()
    first, second = do(tmp_path / "s", work), do(tmp_path / "s", work)
    assert work.calls == 1
    assert first == second
    assert first["result"] == {"answer": 42}
    assert first["files"] == {"half": 1, "whole": 2}
    assert fingerprint_of(str(tmp_path / "s")) == first["fingerprint"]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"k": 4}, "k: 3 (default) there, 4 now"),
        ({"source": "b"}, "input source: a there, b now"),
        ({"k": 5, "source": "b"}, "k: 3 (default) there, 5 now; input source: a there, b now"),
    ],
)
def test_other_settings_or_inputs_are_told_and_nothing_changes(
    tmp_path: Path, change: dict, said: str, killed: bool
) -> None:
    if killed:
        with pytest.raises(ValueError, match="broke"):
            do(tmp_path / "s", Work(fails=True))
    else:
        do(tmp_path / "s", Work())
    before, again = contents(tmp_path), Work()
    with pytest.raises(StageError) as told:
        do(tmp_path / "s", again, **change)
    for part in (str(tmp_path / "s"), said, "another output folder", "--fresh"):
        assert part in str(told.value)
    assert again.calls == 0
    assert contents(tmp_path) == before


def test_fresh_starts_over_whatever_is_there(tmp_path: Path) -> None:
    do(tmp_path / "s", Work())
    again = Work()
    do(tmp_path / "s", again, k=4, fresh=True)
    assert again.calls == 1
    assert again.found == []


def test_what_an_older_version_finished_is_kept_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = do(tmp_path / "s", Work())
    before, again = contents(tmp_path), Work()
    caplog.clear()
    with caplog.at_level("INFO", "pmam"):
        assert do(tmp_path / "s", again, version=3) == first
    assert (again.calls, contents(tmp_path)) == (0, before)
    (line,) = (r.getMessage() for r in caplog.records)
    for part in ("work-1", str(tmp_path / "s"), "version 2, now 3", "--fresh"):
        assert part in line
    with pytest.raises(StageError, match=r"k: 3 \(default\) there, 4 now"):
        do(tmp_path / "s", again, k=4, version=3)


def test_what_an_older_version_left_unfinished_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, version in ((1, 3), (2, 4)):
        with pytest.raises(ValueError, match="broke"):
            do(tmp_path / "s", Work(fails=True), version=version - 1)
        left, again = contents(tmp_path / "s"), Work()
        with caplog.at_level("INFO", "pmam"):
            do(tmp_path / "s", again, version=version)
        assert again.found == []
        assert contents(tmp_path / f"s.set-aside-{number}") == left
        assert f"version {version - 1}, now {version}" in caplog.text
        shutil.rmtree(tmp_path / "s")


@pytest.mark.parametrize("fails", [False, True])
def test_a_newer_version_than_ours_is_refused(tmp_path: Path, fails: bool) -> None:
    with contextlib.suppress(ValueError):
        do(tmp_path / "s", Work(fails=fails), version=3)
    before = contents(tmp_path)
    with pytest.raises(StageError, match="algorithm version 3 of work-1, and this pmam has 2"):
        do(tmp_path / "s", Work())
    assert contents(tmp_path) == before


def test_a_folder_of_another_stage_is_refused(tmp_path: Path) -> None:
    do(tmp_path / "s", Work())
    with pytest.raises(StageError, match="holds the stage work, expected play"):
        run_stage("play", str(tmp_path / "s"), Work(), settings=Settings(), inputs={}, version=1)


def test_a_start_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    def refuse(stage: Stage) -> dict[str, int]:
        assert stage.store.names() == ["plan.json"]
        raise ValueError("bad input")

    (tmp_path / "mine").mkdir()
    for place in ("new/s", "mine/s", "mine"):
        with pytest.raises(ValueError, match="bad input"):
            do(tmp_path / place, refuse)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"2")])
def test_a_missing_or_shortened_output_is_named_and_nothing_changes(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    do(tmp_path / "s", Work())
    damage(tmp_path / "s" / "whole")
    before, again = contents(tmp_path), Work()
    with pytest.raises(
        StageError, match=r"s/whole: (missing|1 bytes), expected 2 bytes; put .*--f"
    ):
        do(tmp_path / "s", again)
    assert (again.calls, contents(tmp_path)) == (0, before)


def test_what_was_killed_goes_on_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broke"):
        do(tmp_path / "s", Work(fails=True))
    with pytest.raises(StageError, match="no finished stage"):
        fingerprint_of(str(tmp_path / "s"))
    again = Work()
    do(tmp_path / "s", again)
    assert again.found == ["half"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StageError, match="not empty and no stage of pmam"):
        do(tmp_path, Work())
    assert (tmp_path / "thesis.tex").exists()


def test_another_format_version_is_an_error(tmp_path: Path) -> None:
    do(tmp_path / "s", Work())
    record = tmp_path / "s" / "stage.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "format_version": 99}))
    with pytest.raises(StageError, match="format version 99, expected 2"):
        do(tmp_path / "s", Work())


def test_a_folder_of_the_first_format_is_refused_and_left(tmp_path: Path) -> None:
    old = {"format_version": 1, "stage": "work", "settings": {"k": 3}, "inputs": {}, "code": "c"}
    for name in ("plan.json", "stage.json"):
        (tmp_path / name).write_text(json.dumps({**old, "fingerprint": "f", "files": {}}))
        before = contents(tmp_path)
        with pytest.raises(StageError, match="format version 1, expected 2"):
            do(tmp_path, Work())
        assert contents(tmp_path) == before


def test_a_kill_while_starting_over_leaves_a_known_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(tmp_path / "s", Work())
    with monkeypatch.context() as patch:
        patch.setattr(
            "shards.io.store.Store.clear", lambda self: (_ for _ in ()).throw(OSError("x"))
        )
        with pytest.raises(OSError, match="x"):
            do(tmp_path / "s", Work(), k=4, fresh=True)
    again = Work()
    do(tmp_path / "s", again, k=4, fresh=True)
    assert again.calls == 1


def test_a_changed_source_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    before = listing_fingerprint(str(tmp_path))
    assert before == listing_fingerprint(str(tmp_path))
    (tmp_path / "b.wav").write_bytes(b"1")
    assert before != listing_fingerprint(str(tmp_path))


def test_folders_to_go_on_by_go_when_the_stage_is_whole(tmp_path: Path) -> None:
    class Halves(Work):
        def __call__(self, stage: Stage) -> dict[str, int]:
            stage.store.write("state/deep/half", b"1")
            return super().__call__(stage)

    work = Halves(fails=True)
    with pytest.raises(ValueError, match="broke"):
        do(tmp_path, work, working=("state",))
    assert (tmp_path / "state/deep/half").exists()
    work.fails = False
    record = do(tmp_path, work, working=("state",))
    assert not (tmp_path / "state").exists()
    assert set(record["files"]) == {"half", "whole"}
    before = contents(tmp_path)
    assert do(tmp_path, work, working=("state",)) == record
    assert (contents(tmp_path), work.calls) == (before, 2)
