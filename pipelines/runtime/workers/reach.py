"""The session of a command, once every machine in it reaches what the command reads and writes."""

import contextlib
from collections.abc import Iterator, Sequence

from cluster.outputs import check_job_outputs
from cluster.session import is_running, lazy_session
from shards.io.atomic import TEMPORARY


@contextlib.contextmanager
def joined(
    address: str | None,
    *,
    reads: Sequence[str | None],
    writes: Sequence[str],
) -> Iterator[None]:
    """`lazy_session(address)`, refused before any work where a node cannot do its part of it.

    Args:
        address: as for `lazy_session`.
        reads: URLs or paths that workers read: datasets, folders of stages, checkpoints, files.
            None, and what this process cannot find, is left to the command, which says so better.
        writes: URLs or paths of folders that workers write to, as they were given.

    Raises:
        PreflightError: a node does not read or write there, or a path would not last.
        SessionError: as `session`.
    """
    check_job_outputs(writes)
    with lazy_session(address):
        if not is_running():  # this machine alone, which does what it does
            yield
            return
        from cluster.preflight import check_reach
        from pipelines.runtime.workers.input_objects import objects
        from pipelines.runtime.workers.nodes import MODULES, PACKAGES, taking_part

        found = check_reach(
            objects([url for url in reads if url]),
            writes,
            hidden=TEMPORARY,
            modules=MODULES,
            packages=PACKAGES,
        )
        with taking_part(found):
            yield
