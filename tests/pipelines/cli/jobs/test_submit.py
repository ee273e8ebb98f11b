"""Commands for other machines are read here, and refused before anything is sent."""

import pytest

from cluster.submit.checks import SubmitError
from cluster.submit.jobs import Job, job_id
from pipelines.cli.jobs.sent import last_lines
from pipelines.cli.jobs.submitted import read_command
from pipelines.cli.main import COMMANDS, main

RUN = ["run", "--preset", "demo", "--out", "s3://bucket/run"]


def test_a_run_is_read() -> None:
    read = read_command(
        [*RUN, "--finetune.training.workers", "3", "--data", "s3://bucket/data"], COMMANDS
    )
    assert read.out == "s3://bucket/run"
    assert read.crews["finetune.training"].workers == 3
    assert {"fit", "pretrain.training"} < {*read.crews}
    assert {"embed.inference", "score.inference"} < {*read.pools}
    assert {"s3://bucket/data", "s3://bucket/run"} <= {*read.paths}
    assert read_command(["pmam", *RUN], COMMANDS) == read_command(RUN, COMMANDS)


def test_another_command_is_read() -> None:
    read = read_command(["pack", "s3://bucket/a", "b", "--shard-mb", "64"], COMMANDS)
    assert read.new == ("s3://bucket/a", "b")
    assert read.out == "b"
    kinds = read_command(["reindex", "labels", "s3://bucket/a", "s3://bucket/b"], COMMANDS)
    assert kinds.new == ("s3://bucket/a", "s3://bucket/b")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no command"),
        (["rnu"], "did you mean 'run'"),
        (["submit"], "no command for a cluster"),
        (["demo"], "no command for a cluster"),
        (["run", "--preset", "demo"], "run without --out"),
        ([*RUN, "--address", "auto"], "the job joins the cluster that it runs on"),
        ([*RUN, "--address=auto"], "the job joins the cluster that it runs on"),
        (["pack", "--help"], "pmam pack --help"),
    ],
)
def test_what_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(SubmitError, match=said):
        read_command(words, COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        [*RUN, "--no-such-option", "1"],
        [*RUN, "--fit.k", "many"],
        ["pack", "s3://bucket/a"],
        ["pack", "s3://bucket/a", "s3://bucket/b", "--shard-mb", "large"],
    ],
)
def test_wrong_options_are_told_here(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Not after minutes, in the log of a job."""
    with pytest.raises(SystemExit) as ended:
        read_command(words, COMMANDS)
    assert ended.value.code == 2
    assert "pmam" in capsys.readouterr().err


def test_ids_follow_from_what_is_done() -> None:
    assert job_id(RUN) == job_id(list(RUN))
    assert len({job_id(RUN), job_id([*RUN, "x"]), job_id(["run--preset", *RUN[2:]])}) == 3


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "STOPPED"])
def test_the_last_lines(status: str) -> None:
    job = Job(id="pmam-1-1", status=status, command="", message="it broke", start_s=1.0, end_s=63.0)
    lines = last_lines(job, "http://host:8265", read_command(RUN, COMMANDS))
    assert lines[0] == f"job      pmam-1-1 {status.lower()} after 1 min 02 s"
    assert "result   s3://bucket/run" in lines
    assert "report   http://host:8265/#/jobs/pmam-1-1" in lines
    assert ("reason   it broke" in lines) == (status == "FAILED")
    again = "resume   pmam jobs resume pmam-1-1 --address http://host:8265"
    assert (again in lines) == (status != "SUCCEEDED")


@pytest.mark.parametrize("command", [["submit", "--", *RUN], ["jobs", "list"]])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "expected the address of a job server"),
        ("http://127.0.0.1:1", "check the ad"),
    ],
)
def test_no_job_server(
    command: list[str],
    address: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:2")  # the option rules
    cut = 1 if command[0] == "submit" else 2
    with pytest.raises(SystemExit) as ended:
        main([*command[:cut], "--address", address, *command[cut:]])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("pmam: error: ")
    assert said in last
    assert address in last
