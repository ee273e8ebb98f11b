"""Addresses of clusters: what cannot be joined is one line, and soon."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.session import SessionError, lazy_session, quiet, session
from pipelines.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a session, which other tests may have begun, nothing is joined."""
    monkeypatch.setattr("ray.is_initialized", lambda: False)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def test_nothing_answers(free_port: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    (tmp_path / "source").mkdir()
    call = ["pack", str(tmp_path / "source"), str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main([*call, "--address", f"127.0.0.1:{free_port}"])
    assert ended.value.code == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"pmam: error: Ray at 127.0.0.1:{free_port}: Connection refused; check")
    assert err.count("\n") == 1
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("form", ["127.0.0.1:x{}", "127.0.0.1:"])
def test_what_is_no_address(form: str, free_port: int) -> None:
    with (
        pytest.raises(SessionError, match=r"^Ray at .*; check the address") as refused,
        session(form.format(free_port)),
    ):
        pass
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", ["ray://head:10001", "http://head:8265"])
def test_what_no_driver_joins(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused in one line that names the two ways in, by option and by variable."""
    monkeypatch.setenv("RAY_ADDRESS", given)
    for address in (given, None):
        with pytest.raises(SessionError) as refused, session(address):
            pass
        said = str(refused.value)
        assert said.startswith(f"Ray at {given}: ")
        assert "head:6379" in said
        assert "pmam submit --address http://head:8265" in said
        assert "\n" not in said


def test_the_address_of_a_job_that_ray_runs(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port}")
    with pytest.raises(SessionError, match="refused"), session():
        pass


@pytest.fixture
def web_server() -> Iterator[int]:
    """Something else that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield int(server.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["127.0.0.1:{}", "nonsense"])
def test_what_only_ray_itself_refuses(form: str, web_server: int) -> None:
    command = ["pack", "source", "out", "--address", form.format(web_server)]
    ended = subprocess.run(
        [sys.executable, "-c", f"from pipelines.cli.main import main; main({command})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("pmam: error: Ray at ")
    assert ended.stderr.count("\n") == 1, ended.stderr


UV_RUN = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, str | None]]:
    """What Ray makes of `uv run` when it starts: as it was imported, and in the environment."""
    import ray
    from ray._private import ray_constants

    found: list[tuple[bool, str | None]] = []
    monkeypatch.setattr(ray_constants, UV_RUN, True)
    monkeypatch.delenv(UV_RUN, raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(
        ray, "init", lambda **_: found.append((getattr(ray_constants, UV_RUN), os.getenv(UV_RUN)))
    )
    return found


@pytest.mark.parametrize("named", ["by nothing", "local"])
def test_uv_run_makes_no_environment_for_local_workers(
    seen: list[tuple[bool, str | None]], monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Where Ray was imported first, too: under `uv run`, no worker would ever start."""
    with session("local" if named == "local" else None):
        pass
    assert seen == [(False, None)]


@pytest.mark.parametrize("by", ["option", "variable"])
def test_uv_run_makes_the_environment_of_workers_of_a_cluster(
    seen: list[tuple[bool, str | None]], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """After a session on this machine in the same process, too."""
    with session():
        pass
    if by == "variable":
        monkeypatch.setenv("RAY_ADDRESS", "auto")
    with session("auto" if by == "option" else None):
        pass
    assert seen == [(False, None), (True, None)]


@pytest.mark.parametrize("address", [None, "auto"])
def test_what_the_user_says_of_uv_run_holds(
    seen: list[tuple[bool, str | None]], monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.setenv(UV_RUN, "1")
    with session(address):
        pass
    assert seen == [(True, "1")]


@pytest.mark.parametrize(("failures", "starts"), [(2, 3), (3, 3)])
def test_a_machine_that_is_too_slow_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, failures: int, starts: int
) -> None:
    asked: list[int] = []

    def init(**_: object) -> None:
        asked.append(1)
        if len(asked) <= failures:
            raise Exception("The current node timed out during startup. This could happen ...")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    if failures < starts:
        with session():
            pass
    else:
        with pytest.raises(SessionError, match="did not start on this machine"), session():
            pass
    assert len(asked) == starts


def test_a_lazy_session_starts_with_the_first_job_and_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    running = {"is": False}

    def init(**_: object) -> None:
        done.append("start")
        running["is"] = True

    def shutdown() -> None:
        done.append("end")
        running["is"] = False

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.shutdown", shutdown)
    monkeypatch.setattr("ray.is_initialized", lambda: running["is"])
    with lazy_session():
        pass
    assert done == []
    with lazy_session():
        for _ in range(2):
            with session():
                pass
        assert done == ["start"]
    assert done == ["start", "end"]
    with pytest.raises(ZeroDivisionError), lazy_session(), session():
        _ = 1 / 0
    assert done == ["start", "end"] * 2
    with session():
        pass
    assert done == ["start", "end"] * 3  # what a lazy session kept is over


def test_a_start_that_failed_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    started: list[subprocess.Popen[bytes]] = []

    def init(**_: object) -> None:
        if len(started) == 2:
            return
        started.append(subprocess.Popen(sleeper))
        raise Exception("The current node timed out during startup. This could happen ...")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    of_the_caller = subprocess.Popen(sleeper)
    try:
        with session():
            assert [process.poll() is not None for process in started] == [True, True]
            assert of_the_caller.poll() is None
    finally:
        for process in [of_the_caller, *started]:
            process.kill()
            process.wait()


def test_other_failures_of_the_start_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise RuntimeError("no such option")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", init)
    with pytest.raises(RuntimeError, match="no such option"), session():
        pass


def test_what_ray_says_of_workers_is_a_plain_line_of_the_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints on standard output, where results are, in colours and at length."""
    from ray._private import worker

    quiet()
    lines = ["A worker died\n or was killed. " + 50 * "To troubleshoot: "]
    with caplog.at_level(logging.WARNING, "pmam"):
        message = {"lines": lines, "pid": "raylet", "is_err": False}
        worker.print_to_stdstream(message, ignore_prefix=False)
    (line,) = caplog.messages
    assert line.startswith("Ray (raylet): A worker died or was killed. To troubleshoot")
    assert len(line) < 250
    assert "\n" not in line
    assert capsys.readouterr().out == ""
