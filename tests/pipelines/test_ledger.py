"""Stages are skipped, continued or started over by what they are made of."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.ledger import Stage, StageError, fingerprint_of, listing_fingerprint, run_stage


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


def do(folder: Path, work: Work, k: int = 3, source: str = "a", **options: bool) -> dict:
    return run_stage(
        "work-1", str(folder), work, settings=Settings(k=k), inputs={"source": source}, **options
    )


def test_the_same_work_is_done_once(tmp_path: Path) -> None:
    work = Work()
    first, second = do(tmp_path / "s", work), do(tmp_path / "s", work)
    assert work.calls == 1
    assert first == second
    assert first["result"] == {"answer": 42}
    assert first["files"] == {"half": 1, "whole": 2}
    assert fingerprint_of(str(tmp_path / "s")) == first["fingerprint"]


@pytest.mark.parametrize("change", [{"k": 4}, {"source": "b"}, {"fresh": True}])
def test_other_settings_inputs_or_a_wish_start_over(tmp_path: Path, change: dict) -> None:
    do(tmp_path / "s", Work())
    again = Work()
    do(tmp_path / "s", again, **change)
    assert again.calls == 1
    assert again.found == []


def test_what_was_killed_goes_on_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broke"):
        do(tmp_path / "s", Work(fails=True))
    with pytest.raises(StageError, match="no finished stage"):
        fingerprint_of(str(tmp_path / "s"))
    again = Work()
    do(tmp_path / "s", again)
    assert again.found == ["half"]


def test_a_missing_or_shortened_output_is_made_again(tmp_path: Path) -> None:
    do(tmp_path / "s", Work())
    (tmp_path / "s" / "whole").write_bytes(b"2")
    again = Work()
    do(tmp_path / "s", again)
    assert again.calls == 1
    assert (tmp_path / "s" / "whole").read_bytes() == b"22"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StageError, match="not empty and no stage of pmam"):
        do(tmp_path, Work())
    assert (tmp_path / "thesis.tex").exists()


def test_another_format_version_is_an_error(tmp_path: Path) -> None:
    do(tmp_path / "s", Work())
    record = tmp_path / "s" / "stage.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "format_version": 99}))
    with pytest.raises(StageError, match="format version 99, expected 1"):
        do(tmp_path / "s", Work())


def test_a_kill_while_starting_over_leaves_a_known_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(tmp_path / "s", Work())
    with monkeypatch.context() as patch:
        patch.setattr("shards.store.Store.clear", lambda self: (_ for _ in ()).throw(OSError("x")))
        with pytest.raises(OSError, match="x"):
            do(tmp_path / "s", Work(), k=4)
    again = Work()
    do(tmp_path / "s", again, k=4)
    assert again.calls == 1


def test_a_changed_source_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    before = listing_fingerprint(str(tmp_path))
    assert before == listing_fingerprint(str(tmp_path))
    (tmp_path / "b.wav").write_bytes(b"1")
    assert before != listing_fingerprint(str(tmp_path))
