"""One Ray session: local and small by default, any cluster by its address."""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cluster.errors import ClusterError
from cluster.token import TokenError, check_token, find_token

if TYPE_CHECKING:
    import psutil

OBJECT_STORE_BYTES = 512 << 20
CONNECT_S = 5.0
# Ray gives itself 30 s, which nothing changes; a second start finds its files in memory.
STARTS, TOO_SLOW = 3, "timed out during startup"
# Ray tries to reach a cluster so often, 40 s at a time where something else has the port.
TRIES = {"RAY_gcs_server_port_wait_time_s": "1"}
TOLD = 200  # characters of what Ray says
_joined = False
_kept: contextlib.ExitStack | None = None  # ends what sessions within `lazy_session` started
log = logging.getLogger("pmam")


class SessionError(ClusterError, OSError):
    """No session with the cluster that was asked for; the message is one line."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cluster_address(address: str | None = None) -> str | None:
    """The cluster that `session(address)` joins; None where it starts Ray on this machine."""
    found = address or os.environ.get("RAY_ADDRESS")
    return None if found == "local" else found or None


def is_running() -> bool:
    """Whether a session is there already, ours or a caller's."""
    return "ray" in sys.modules and sys.modules["ray"].is_initialized()


def is_cluster() -> bool:
    """Whether the session that is there is of a cluster that was running before."""
    return is_running() and _joined


@contextlib.contextmanager
def session(address: str | None = None) -> Iterator[None]:
    """Ray for the length of a `with`; inside one that runs already, nothing is started.

    Args:
        address: of a cluster (`auto`, `host:6379`); None takes RAY_ADDRESS, which Ray sets in
            jobs that it runs, or else starts Ray on this machine.

    Raises:
        SessionError: no cluster answers at the address, or not one that this Ray can join; or
            this machine is too busy to start Ray.
        TokenError: the cluster refuses the token that is here, or the lack of one.
    """
    # CPU workers must not hide a GPU from a driver that uses it; keeps a warning away, too.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    # Its core tells of every actor with large arguments; errors of tasks come as exceptions.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    if ray.is_initialized():
        yield
        return
    quiet()
    global _joined
    cluster = cluster_address(address)
    if cluster:
        _join(cluster)
    else:
        with _environment_as_it_is():
            _start()
    _joined = cluster is not None
    if _kept is not None:
        _kept.callback(_end)
        yield
        return
    try:
        yield
    finally:
        _end()


def _end() -> None:
    import ray

    global _joined
    _joined = False
    ray.shutdown()


@contextlib.contextmanager
def lazy_session(address: str | None = None) -> Iterator[None]:
    """`session(address)`, but Ray on this machine starts with the first job that needs it.

    What is wrong with inputs is said before that, and a command that finds all done starts none.
    From then on it stays to the end of the `with`. A cluster is joined at once.
    """
    if cluster_address(address) or is_running():
        with session(address):
            yield
        return
    global _kept
    with contextlib.ExitStack() as kept:
        outer, _kept = _kept, kept
        try:
            yield
        finally:
            _kept = outer


@contextlib.contextmanager
def _environment_as_it_is() -> Iterator[None]:
    """Under `uv run`, workers on this machine use the environment that is there.

    Ray would build a new one for them, which takes minutes and a network. On other machines that
    is how they get one: a session that joins a cluster leaves it to Ray, as Ray documents it.
    What the user sets holds. Ray reads the variable once, when it is imported.
    """
    from ray._private import ray_constants

    before = ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV
    if "RAY_ENABLE_UV_RUN_RUNTIME_ENV" not in os.environ:
        ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = False
    try:
        yield
    finally:
        ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = before


def _start() -> None:
    """Start Ray on this machine; again where the machine was too slow for it."""
    import psutil
    import ray

    for attempt in range(1, STARTS + 1):
        before = set(psutil.Process().children())
        try:
            with _silent_core():
                ray.init(
                    # One more than there are: a pool of actors that takes every CPU waits for ever
                    # on the tasks that feed it.
                    num_cpus=cores() + 1,
                    object_store_memory=OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            return
        except Exception as error:  # a bare one
            if TOO_SLOW not in str(error):
                raise
            ray.shutdown()
            _end_children_but(before)
            if attempt == STARTS:
                raise SessionError(
                    f"Ray did not start on this machine within its 30 s, {STARTS} times: wait "
                    "until there is less other work or more free memory, or join a cluster"
                ) from error


def _end_children_but(kept: "set[psutil.Process]") -> None:
    """End what a start that failed left running: Ray does not, and it slows the next start."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        for child in set(psutil.Process().children()) - kept:
            for process in [*child.children(recursive=True), child]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            child.wait()


def _join(address: str) -> None:
    """Connect to a running cluster. Ray alone would try a wrong address for many minutes."""
    import ray

    if "://" in address:
        raise SessionError(_no_address(address))
    advice = "check the address (host:6379 or auto), and that the cluster runs"
    if ":" in address:
        server = urlsplit(f"//{address}")
        try:
            socket.create_connection((server.hostname or "", server.port or 0), CONNECT_S).close()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SessionError(f"Ray at {address}: {reason}; {advice}") from error
    found = find_token()
    before = {name: os.environ.get(name) for name in TRIES}
    os.environ.update({name: value for name, value in TRIES.items() if before[name] is None})
    try:
        with _silent_core():
            if ":" in address:
                check_token(address, found=found)
            # What workers say of their work, the driver says; their other lines are in Ray's logs.
            ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)
    except TokenError:
        raise
    except Exception as error:  # of many kinds, down to a bare one
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SessionError(f"Ray at {address}: {reason}; {advice}") from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]


def _no_address(address: str) -> str:
    """Why a URL is not where a driver joins a cluster, and what is."""
    scheme, _, rest = address.partition("://")
    host = urlsplit(f"//{rest}").hostname or "host"
    what = "a Ray Client, which neither Ray Data's nor Ray Train's jobs here can use"
    if scheme in ("http", "https"):
        what = "the cluster's job server, which jobs are submitted to"
    return (
        f"Ray at {address}: {what}; from a machine of the cluster give {host}:6379, from any other "
        f"`pmam submit --address http://{host}:8265 -- ...`"
    )


@contextlib.contextmanager
def _silent_core() -> Iterator[None]:
    """Ray's core tells on the error stream which log level it was given, below Python's."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def quiet() -> None:
    """Leave the terminal to our own progress: Ray Data tells its plans at length."""
    # Before the import: Ray Data warns at once that its bars are off.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    import ray.data
    from ray._private import worker

    worker.print_to_stdstream = _told
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    for name in ("ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _told(data: Any, ignore_prefix: bool) -> None:
    """What nodes say of workers that died, in a line: Ray prints it among results, in colours."""
    text = " ".join(" ".join(map(str, data["lines"])).split())
    log.warning("Ray (%s): %s", data["pid"], text[:TOLD] + "..." * (len(text) > TOLD))
