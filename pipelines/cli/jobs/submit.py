"""The command `submit`: work on a cluster, from a machine that only sends it there."""

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import tyro

from cluster.kubernetes.settings import KubernetesSettings
from cluster.slurm.settings import SlurmSettings
from cluster.submit.checks import SubmitError, check_environment, check_paths, check_words
from cluster.submit.jobs import Jobs, job_id
from cluster.submit.upload import EXCLUDED, check_upload
from pipelines.cli.jobs.sent import followed
from pipelines.cli.jobs.submitted import read_command
from pipelines.cli.types import REGISTRY, Flag
from pipelines.runtime.lines import print_line
from pipelines.runtime.workers.crew import Crew

PROJECT = "pyproject.toml"
log = logging.getLogger("pmam")
PROGRAM = {
    "image": ["python", "-m", "pipelines"],
    # Without the tools of developers; Ray gives its workers the same environment.
    "uv": ["uv", "run", "--no-dev", "python", "-m", "pipelines"],
}


@dataclass(frozen=True, kw_only=True)
class SubmitArguments:
    """Run a command on a cluster, and follow its log: pmam submit [OPTIONS] -- run --preset ...

    Sent again, the same command goes on from what is whole. Ends with status 0 where the job
    succeeded, 1 where it failed, 3 where it was stopped, and 2 where it was not sent. Interrupted,
    it stops following; the job goes on. Keys never travel with a job: the nodes have them.
    """

    # Address of the cluster's job server, which is its dashboard, such as http://host:8265; by
    # default what RAY_API_SERVER_ADDRESS says, or that of this machine.
    address: str | None = None
    # Folder of code to send along; by default this one where it holds a pyproject.toml, and else
    # none: the nodes have pmam.
    working_dir: str | None = None
    # Where the nodes have their packages from: image (they are installed there) or uv (Ray makes
    # the environment of the sent folder, with its pinned versions).
    packages: Literal["image", "uv"] = "image"
    # Folders that all nodes have under the same path, such as a network file system.
    shared: tuple[str, ...] = ()
    # Variables of the job, as NAME=VALUE; never keys, tokens or passwords.
    env: tuple[str, ...] = ()
    # Profile of the nodes' own AWS files to take credentials from.
    aws_profile: str | None = None
    # Return when the job is accepted, and print its id.
    no_wait: Flag = False
    # Print a manifest for KubeRay or a batch script for Slurm that does the command, instead of
    # sending it.
    render: Literal["kubernetes", "slurm"] | None = None
    # Pods and names of --render kubernetes.
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
    # Nodes and names of --render slurm.
    slurm: SlurmSettings = field(default_factory=SlurmSettings)


def submit(arguments: Sequence[str]) -> None:
    """Parse what stands before the `--`, read what stands behind it, and send that."""
    given = list(arguments)
    cut = given.index("--") if "--" in given else len(given)
    parsed = tyro.cli(
        SubmitArguments,
        prog="pmam submit",
        args=given[:cut],
        config=(tyro.conf.AvoidSubcommands,),
        registry=REGISTRY,
    )
    from pipelines.cli.jobs.manifests import kubernetes_manifest, slurm_script
    from pipelines.cli.main import COMMANDS

    variables = _variables(parsed)
    if parsed.render == "kubernetes" and parsed.kubernetes.kind == "cluster" and cut == len(given):
        sys.stdout.write(kubernetes_manifest(parsed.kubernetes, None, variables))
        return
    command = read_command(given[cut + 1 :], COMMANDS)
    check_words(command.words)
    if parsed.render is not None:
        check_paths(command.paths, parsed.shared, new=command.new)
        if parsed.render == "kubernetes":
            text = kubernetes_manifest(parsed.kubernetes, command, variables)
        else:
            text = slurm_script(parsed.slurm, command, variables)
        sys.stdout.write(text)
        return
    environment = _environment(parsed, variables)
    jobs = Jobs(parsed.address)
    local = urlsplit(jobs.address).hostname in ("localhost", "127.0.0.1", "::1")
    check_paths(command.paths, parsed.shared, new=command.new, local=local)
    _tell_room(jobs, command.crews)
    job = jobs.submit(
        shlex.join([*PROGRAM[parsed.packages], *command.words]),
        job_id([*command.words, *parsed.env, parsed.aws_profile or "", parsed.packages]),
        environment=environment,
        words=command.words,
    )
    if parsed.no_wait:
        log.info("sent; `pmam jobs log %s` follows it", job.id)
        print_line(job.id)
        return
    log.info("%s is sent; interrupting this leaves it at work", job.id)
    followed(jobs, job, command)


submit.parses_itself = True  # type: ignore[attr-defined]


def _variables(parsed: SubmitArguments) -> dict[str, str]:
    """Variables of the job.

    Raises:
        SubmitError: they would carry keys.
    """
    variables = {}
    for pair in parsed.env:
        name, mark, value = pair.partition("=")
        if not mark:
            raise SubmitError(f"--env {pair}: expected NAME=VALUE")
        variables[name] = value
    if parsed.aws_profile is not None:
        variables["AWS_PROFILE"] = parsed.aws_profile
    check_environment(variables)
    return variables


def _environment(parsed: SubmitArguments, variables: Mapping[str, str]) -> dict[str, Any]:
    """Ray's runtime environment of the job.

    Raises:
        SubmitError: it is too large, or lacks what it needs.
    """
    environment: dict[str, Any] = {}
    folder = parsed.working_dir
    if folder is None and Path(PROJECT).is_file():
        folder = "."
    if folder is not None:
        size = check_upload(Path(folder).absolute())
        log.info("sending %s, %.1f MiB", Path(folder).absolute(), size / 2**20)
        environment |= {"working_dir": str(Path(folder).absolute()), "excludes": list(EXCLUDED)}
    elif parsed.packages == "uv":
        raise SubmitError(f"--packages uv: no {PROJECT} here; give --working-dir, a checkout")
    if variables:
        environment["env_vars"] = {**variables}
    return environment


def _tell_room(jobs: Jobs, crews: Mapping[str, Crew]) -> None:
    """Say where a command asks for more than there is now; the job itself knows what may come."""
    there = jobs.capacity()
    for setting, crew in crews.items():
        least = crew.workers[0] if isinstance(crew.workers, tuple) else crew.workers
        asked = {"CPU": least * (crew.cpus or 1.0), "GPU": least * (crew.gpus or 0.0)}
        for name, amount in asked.items():
            if there and amount > there.get(name, 0.0):
                log.warning(
                    "%s: %d workers take %g %ss, and the cluster has %g now: the job waits for "
                    "more where the cluster grows, and stops where it cannot",
                    setting,
                    least,
                    amount,
                    name,
                    there.get(name, 0.0),
                )
