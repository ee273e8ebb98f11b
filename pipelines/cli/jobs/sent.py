"""The command `jobs`, on what was submitted: list it, follow it, stop it, send it once more."""

import datetime
import logging
import shlex
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import tyro

from cluster.submit.checks import SubmitError
from cluster.submit.job_log import follow
from cluster.submit.jobs import Job, Jobs
from pipelines.cli.jobs.submitted import Submitted
from pipelines.cli.kinds import command_of_kinds
from pipelines.cli.types import Flag
from pipelines.runtime.lines import print_line, show_line
from pipelines.runtime.tables import output
from pipelines.runtime.words import duration

EXIT = {"SUCCEEDED": 0, "FAILED": 1, "STOPPED": 3}
log = logging.getLogger("pmam")


def followed(jobs: Jobs, job: Job, command: Submitted | None) -> NoReturn:
    """Show the log of a job until it ends, and what came of it; ends with the job's status."""

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    try:
        ended = follow(jobs, job.id, write)
    except KeyboardInterrupt:
        show_line(
            f"{job.id} goes on; `pmam jobs log {job.id}` follows it, `pmam jobs stop {job.id}` "
            "stops it"
        )
        raise SystemExit(130) from None
    for line in last_lines(ended, jobs.address, command):
        print_line(line)
    raise SystemExit(EXIT.get(ended.status, 1))


def last_lines(job: Job, address: str, command: Submitted | None) -> list[str]:
    """What came of a job, where it is, and what to do next."""
    took = ""
    if job.start_s is not None and job.end_s is not None:
        took = f" after {duration(job.end_s - job.start_s)}"
    lines = [f"job      {job.id} {job.status.lower()}{took}"]
    if job.status == "FAILED" and job.message:
        lines.append(f"reason   {job.message[:500]}")
    if command is not None and command.out:
        lines.append(f"result   {command.out}")
    lines.append(f"report   {address}/#/jobs/{job.id}")
    if job.status != "SUCCEEDED":
        lines.append(f"resume   pmam jobs resume {job.id} --address {shlex.quote(address)}")
    return lines


def list_(address: str | None = None) -> None:
    """List the jobs that were submitted to a cluster, the oldest first.

    Args:
        address: Address of the cluster's job server.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("job", "status", "began", "took", "command"):
        table.add_column(column, no_wrap=column != "command")
    now = datetime.datetime.now(datetime.UTC).timestamp()
    for job in Jobs(address).all():
        began, took = "", ""
        if job.start_s is not None:
            moment = datetime.datetime.fromtimestamp(job.start_s, datetime.UTC).astimezone()
            began, took = f"{moment:%Y-%m-%d %H:%M}", duration((job.end_s or now) - job.start_s)
        command = job.command.partition(" -m pipelines ")[2] or job.command
        table.add_row(job.id, job.status.lower(), began, took, command.replace("[", r"\["))
    output().print(table)


def log_(job: tyro.conf.Positional[str], address: str | None = None, no_wait: Flag = False) -> None:
    """Show the log of a job, and follow it until it ends; ends with the job's status.

    Args:
        job: Id of the job.
        address: Address of the cluster's job server.
        no_wait: Print what is there, and stop.
    """
    jobs = Jobs(address)
    if no_wait:
        sys.stdout.write(jobs.log(job))
        return
    followed(jobs, jobs.one(job), None)


def stop(job: tyro.conf.Positional[str], address: str | None = None) -> None:
    """Stop a job; what is whole stays, and resuming it goes on from there.

    Args:
        job: Id of the job.
        address: Address of the cluster's job server.
    """
    jobs = Jobs(address)
    was = jobs.one(job)
    if was.ended:
        raise SubmitError(f"{job} is {was.status.lower()} already")
    for line in last_lines(jobs.stop(job), jobs.address, None):
        print_line(line)


def resume(
    job: tyro.conf.Positional[str], address: str | None = None, no_wait: Flag = False
) -> None:
    """Send the command of a job that ended once more: it goes on from what is whole.

    Args:
        job: Id of the job.
        address: Address of the cluster's job server.
        no_wait: Return when the job is accepted, and print its id.
    """
    jobs = Jobs(address)
    again = jobs.again(job)
    if no_wait:
        print_line(again.id)
        return
    log.info("%s is sent; interrupting this leaves it at work", again.id)
    followed(jobs, again, None)


KINDS: dict[str, Callable[..., Any]] = {
    "list": list_,
    "log": log_,
    "stop": stop,
    "resume": resume,
}


jobs = command_of_kinds(
    "pmam jobs",
    "List, follow, stop or resume the jobs of a cluster.",
    KINDS,
)
