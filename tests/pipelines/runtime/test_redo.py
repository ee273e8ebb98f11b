"""A run's stages done again: what is set aside, and kills at any moment in between."""

import contextlib
import json
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from s3_server import s3_server
from tiny_run import tiny_settings

from cluster.storage.filesystems import filesystem
from pipelines.cli import run as run_commands
from pipelines.presets import PRESETS
from pipelines.presets.settings import RunSettings
from pipelines.run import stages
from pipelines.runtime.files.set_aside import set_aside
from pipelines.runtime.redo import INTENT, from_stage, redoing
from pipelines.runtime.stage import Command, Stage, StageError, commanded, run_stage
from shards.io.store import Store

CHAIN = ("one", "two", "three")


@dataclass(frozen=True, kw_only=True)
class Settings:
    k: int = 3


def run_chain(
    out: str,
    redo: str | None = None,
    *,
    pause_s: float = 0.0,
    version: int = 1,
    settings: Settings | None = None,
) -> None:
    """Three stages, each made of the one before; each folder tells in which process it was made."""
    again = [] if redo is None else from_stage(CHAIN, redo)
    with redoing(out, again[0] if again else None, again):
        _chain(out, settings or Settings(), pause_s=pause_s, version=version)


def _chain(out: str, settings: "Settings", *, pause_s: float, version: int) -> None:
    inputs: dict[str, str] = {}
    for name in CHAIN:

        def work(stage: Stage) -> dict[str, str]:
            folder = stage.store
            if folder.size("first") is None:
                folder.write("first", os.urandom(8))
            time.sleep(pause_s)
            folder.write("second", folder.read("first") + os.urandom(8))
            return {"made": folder.read("second").hex()}

        record = run_stage(
            name, f"{out}/{name}", work, settings=settings, inputs=inputs, version=version
        )
        inputs = {"before": record["fingerprint"]}


def made(out: Path) -> dict[str, str]:
    """What each finished stage folder holds, set aside or not; and that it is whole."""
    found = {}
    for folder in sorted(out.iterdir()):
        record = json.loads((folder / "stage.json").read_text())
        assert record["result"]["made"] == (folder / "second").read_bytes().hex()
        found[folder.name] = record["result"]["made"]
    return found


def test_a_stage_and_those_behind_it_are_done_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_chain(str(out))
    first = made(out)
    run_chain(str(out))
    assert made(out) == first
    run_chain(str(out), "two")
    second = made(out)
    assert second.keys() == {*CHAIN, "two.set-aside-1", "three.set-aside-1"}
    assert second["one"] == first["one"]
    for name in ("two", "three"):
        assert second[f"{name}.set-aside-1"] == first[name] != second[name]
    run_chain(str(out), "three")  # a second complete one does it again
    third = made(out)
    assert third["three.set-aside-2"] == second["three"]
    assert third["two"] == second["two"]


def test_a_raised_version_is_redone_where_it_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_chain(str(out))
    first = made(out)
    run_chain(str(out), version=2)
    assert made(out) == first
    run_chain(str(out), "one", version=2)
    assert {made(out)[f"{name}.set-aside-1"] for name in CHAIN} == set(first.values())
    run_chain(str(out), version=2)


def test_the_names_of_stages() -> None:
    names = ["pack", "embed-1", "fit-1", "pretrain-1", "pretrain-2", "finetune", "score"]
    assert from_stage(names, "pretrain") == names[3:]
    assert from_stage(names, "pretrain-2") == names[4:]
    assert from_stage(names, "score") == ["score"]
    with pytest.raises(ValueError, match=r"redo 'scores': .* pack, embed-1, .*, score"):
        from_stage(names, "scores")


def test_the_order_of_a_runs_stages() -> None:
    demo = [
        *("soundscapes", "pack", "embed-1", "fit-1", "label-1", "pretrain-1"),
        *("embed-2", "fit-2", "label-2", "pretrain-2", "finetune", "score", "evaluate"),
    ]
    assert stages(tiny_settings()) == demo
    supervised = [f"{name}-supervised" for name in demo[-3:]]
    assert stages(replace(tiny_settings(), baseline=True)) == [*demo, *supervised]
    alone = RunSettings(dataset="d", iterations=0)
    assert stages(alone) == ["embed-1", "finetune", "score", "evaluate"]
    given = replace(PRESETS["paper"](), dataset="d", prototypes="p", posteriors="q", iterations=1)
    assert stages(given)[:4] == ["embed-1", "pretrain-1", "finetune-first", "finetune"]


def test_what_is_no_stages_folder_stops_before_anything_moves(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_chain(str(out))
    shutil.rmtree(out / "three")
    (out / "three").mkdir()
    (out / "three" / "thesis.tex").write_text("years of work")
    before = sorted(out.rglob("*"))
    with pytest.raises(StageError, match="three: is not empty and no stage of pmam wrote it"):
        run_chain(str(out), "two")
    assert sorted(out.rglob("*")) == before


def test_settings_that_a_stage_before_refuses_move_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_chain(str(out))
    first = made(out)
    with pytest.raises(StageError, match=r"one: .*k"):
        run_chain(str(out), "two", settings=Settings(k=4))
    assert made(out) == first  # which lists the folder: no record of it is left
    run_chain(str(out))
    assert made(out) == first


def test_a_damaged_record_of_a_redo_is_named(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_chain(str(out))
    (out / INTENT).write_text("{")
    with pytest.raises(StageError, match=f"{INTENT}: not the record of a redo"):
        run_chain(str(out))


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments_lose_nothing_and_redo_once(tmp_path: Path, seed: int) -> None:
    out, choose = tmp_path / "run", random.Random(seed)
    run_chain(str(out))
    first = made(out)
    for attempt in range(1, 26):
        child = os.fork()
        if child == 0:
            try:
                run_chain(str(out), "two", pause_s=0.004)
            finally:
                os._exit(0)
        time.sleep(choose.uniform(0.0, 0.004 * attempt))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if not (out / INTENT).exists() and (out / "two.set-aside-1").exists():
            break  # it went through before the kill
    else:
        begun = (out / INTENT).exists()  # then the plain command goes on with it, too
        run_chain(str(out), choose.choice(["two", None]) if begun else "two")
    second = made(out)
    assert second.keys() == {*CHAIN, "two.set-aside-1", "three.set-aside-1"}
    assert second["one"] == first["one"]
    for name in ("two", "three"):
        assert second[f"{name}.set-aside-1"] == first[name] != second[name]
    assert not list(out.rglob(".part-*"))


def test_another_redo_ends_what_was_begun_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    run_chain(str(out))
    first = made(out)
    with monkeypatch.context() as patch:
        patch.setattr(
            "pipelines.runtime.redo.set_aside", lambda url, last: (_ for _ in ()).throw(OSError)
        )
        with pytest.raises(OSError):
            run_chain(str(out), "two")
    run_chain(str(out), "three")
    assert made(out)["two.set-aside-1"] == first["two"]
    assert made(out)["three.set-aside-1"] == first["three"]
    assert not (out / INTENT).exists()


class Killed(BaseException):
    """Ends a copy at once, as a kill would."""


def test_an_object_store_copies_then_deletes_and_survives_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        url = server.url("run/two")
        folder = Store(*filesystem(url))
        files = {name: name.encode() for name in ("plan.json", "stage.json", "a/b", "c", "d")}
        for name, data in files.items():
            folder.write(name, data)
        calls = 0
        for attempt in range(2 * len(files)):
            left = attempt

            def dying(
                self: Store, path: str, action: object, real: object = Store.attempt
            ) -> object:
                nonlocal left, calls
                if left == 0:
                    raise Killed
                left -= 1
                calls += 1
                return real(self, path, action)  # type: ignore[operator]

            with monkeypatch.context() as patch:
                patch.setattr(Store, "attempt", dying)
                try:
                    set_aside(url, "plan.json")
                except Killed:
                    continue
            break
        if folder.names():
            set_aside(url, "plan.json")
        aside = Store(*filesystem(f"{url}.set-aside-1"))
        assert {name: aside.read(name) for name in aside.names()} == files
        assert folder.names() == []
        assert Store(*filesystem(f"{url}.set-aside-2")).names() == []


def test_a_run_that_cannot_begin_leaves_no_folder(
    tmp_path: Path, refused: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipelines.run.lazy_session", lambda address: contextlib.nullcontext())
    command = ["run", "--preset", "own_data", "--data", str(tmp_path / "none"), "--out", "new/run"]
    refused(*command)  # type: ignore[operator]
    message = refused(*command, "--redo", "scores")  # type: ignore[operator]
    assert "redo 'scores': expected a stage of this run: pack, embed-1" in message
    assert "expected one of them" in refused(*command, "--redo", "score", "--fresh")  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []


def test_the_configuration_is_that_of_what_is_there(tmp_path: Path) -> None:
    folder = Store.local(tmp_path / "runs" / "a")

    def stage(k: int) -> None:
        def work(stage: Stage) -> dict[str, int]:
            stage.store.write("x", b"1")
            return {}

        settings = Settings(k=k)
        with run_commands._configured(folder, str(k).encode()):
            run_stage("s", folder.path("s"), work, settings=settings, inputs={}, version=1)

    stage(3)
    with pytest.raises(StageError, match=r"k: 3 \(default\) there, 4 now.*--redo s`"):
        stage(4)
    assert folder.read("run.json") == b"3"
    with pytest.raises(ValueError, match="no"), run_commands._configured(folder, b"5"):
        raise ValueError("no")
    assert folder.read("run.json") == b"3"


def test_a_kept_stage_tells_the_runs_own_command(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_chain(str(tmp_path / "run"))
    command = Command(redo="`pmam run ... --redo {stage}`")
    caplog.clear()
    with caplog.at_level("INFO", "pmam"), commanded(command):
        run_chain(str(tmp_path / "run"), version=2)
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == len(CHAIN)
    for name, line in zip(CHAIN, told, strict=True):
        assert f"`pmam run ... --redo {name}` does it again" in line
