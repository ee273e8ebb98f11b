"""Where a command writes, looked at before anything is loaded for its work."""

import os
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the command of a submitted job
INSTEAD = "give a URL such as s3://bucket/{}, or the absolute path of a folder that {} share"


class PreflightError(ClusterError, OSError):
    """What a machine cannot read or write; the message is one line and names both."""


def check_job_outputs(writes: Sequence[str]) -> None:
    """Refuse relative outputs of the command of a submitted job; elsewhere, do nothing.

    Args:
        writes: URLs or paths, as they were given.

    Raises:
        PreflightError: one is relative: to a folder that goes when the job ends.
    """
    for url in filter(is_relative, writes if JOB_VARIABLE in os.environ else ()):
        raise PreflightError(
            f"output {url}: relative to the job's own copy of its working directory, which goes "
            f"when the job ends; {INSTEAD.format(last_name(url), 'all nodes')}"
        )


def is_relative(url: str) -> bool:
    """Whether it is a path from the folder that a process happens to be in."""
    return "://" not in url and not Path(url).expanduser().is_absolute()


def last_name(url: str) -> str:
    """What it ends in."""
    return Path(url).name or "folder"
