"""The log of a job as it comes, over connections that may break."""

import asyncio
import contextlib
from collections.abc import Callable

from cluster.submit.checks import SubmitError
from cluster.submit.jobs import Job, Jobs

AGAIN_S = 2.0  # between two looks at a log whose connection broke
PATIENCE_S = 120.0  # of a server that does not answer


def follow(jobs: Jobs, name: str, write: Callable[[str], None]) -> Job:
    """Give all that a job has written and writes, each piece once, until it ends.

    Args:
        jobs: of the cluster.
        name: of the job.
        write: takes pieces of text.

    Returns:
        the job, ended.

    Raises:
        SubmitError: there is no such job, or its server is away for `PATIENCE_S`.
    """
    jobs.one(name)
    return asyncio.run(_follow(jobs, name, write))


async def _follow(jobs: Jobs, name: str, write: Callable[[str], None]) -> Job:
    given, away_s = 0, 0.0
    while True:
        seen = 0
        # Ray gives the log from its beginning each time; the connection may break at any time.
        with contextlib.suppress(OSError, RuntimeError, asyncio.TimeoutError):
            async for text in jobs.client.tail_job_logs(name):
                fresh = text[max(0, given - seen) :]
                seen += len(text)
                if fresh:
                    given, away_s = max(given, seen), 0.0
                    write(fresh)
        try:
            job = jobs.one(name)
        except SubmitError:
            away_s += AGAIN_S
            if away_s > PATIENCE_S:
                raise
        else:
            if job.ended:
                rest = await asyncio.to_thread(_rest, jobs, name, given)
                write(rest)
                return job
        await asyncio.sleep(AGAIN_S)


def _rest(jobs: Jobs, name: str, given: int) -> str:
    """What was written since; of a job that has ended."""
    with contextlib.suppress(SubmitError):
        return jobs.log(name)[given:]
    return ""
