"""Ray's job server: submit, list, stop, by errors in one line."""

import contextlib
import hashlib
import importlib.util
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.submit.checks import SubmitError
from cluster.token import TokenError, advice, find_token

DEFAULT = "http://127.0.0.1:8265"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
STOP_S, POLL_S = 60.0, 0.5
TIMES = re.compile(r"-(\d+)$")  # at the end of a job's id: which time it is


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as its server tells it."""

    id: str
    status: str
    command: str
    message: str
    start_s: float | None  # seconds since 1970
    end_s: float | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED


def job_id(command: Sequence[str], name: str = "pmam") -> str:
    """The id of a job, but for its number: a function of what is done, never of the time."""
    said = "\0".join(command).encode()
    return f"{name}-{hashlib.sha256(said).hexdigest()[:10]}"


class Jobs:
    """The jobs of a cluster.

    Args:
        address: of its job server, such as `http://host:8265`; None takes RAY_API_SERVER_ADDRESS,
            or that on this machine.

    Raises:
        SubmitError: none answers there, or it is of another version of Ray.
        TokenError: it refuses the token that is here, or the lack of one.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = (address or os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT).rstrip("/")
        if not self.address.startswith(("http://", "https://")):
            raise SubmitError(
                f"--address {self.address}: expected the address of a job server, such as "
                f"{DEFAULT}; it is the cluster's dashboard, at port 8265 of its head"
            )
        self.found = find_token()
        if importlib.util.find_spec("aiohttp") is None:
            raise SubmitError(
                "submitting needs Ray's job client: install pmam with its extra cluster "
                "(`uv sync --extra cluster`, `pip install 'pmam[cluster]'`)"
            )
        import ray
        from ray.job_submission import JobSubmissionClient

        logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.WARNING)
        logging.getLogger("ray.dashboard.modules.dashboard_sdk").setLevel(logging.WARNING)
        logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.ERROR)
        with self._asked(), _without_addresses():
            self.client: Any = JobSubmissionClient(self.address)
            there = self._get("/api/version").get("ray_version", "")
        if there != ray.__version__:
            raise SubmitError(
                f"Ray at {self.address} is version {there or 'unknown'}, here it is "
                f"{ray.__version__}; install the same on both"
            )

    def submit(
        self,
        entrypoint: str,
        base: str,
        *,
        environment: Mapping[str, Any],
        words: Sequence[str],
        cpus: float = 0.0,
    ) -> Job:
        """Start a job, under the next number of its id.

        Args:
            entrypoint: the shell's command.
            base: its id without a number.
            environment: Ray's runtime environment.
            words: the command of pmam, to tell it by.
            cpus: that its driver takes of the cluster.

        Raises:
            SubmitError: the same job runs already, or the server refuses it.
        """
        mine = [job for job in self.all() if TIMES.sub("", job.id) == base]
        for job in mine:
            if not job.ended:
                raise SubmitError(
                    f"{job.id} runs already, and does just this ({job.status.lower()}); "
                    f"`pmam jobs log {job.id}` follows it, `pmam jobs stop {job.id}` stops it"
                )
        numbers = [int(found[1]) for job in mine if (found := TIMES.search(job.id))]
        name = f"{base}-{max(numbers, default=0) + 1}"
        with self._asked():
            self.client.submit_job(
                entrypoint=entrypoint,
                submission_id=name,
                runtime_env=dict(environment),
                metadata={"pmam": " ".join(words)[:500]},
                entrypoint_num_cpus=cpus or None,
            )
        return self.one(name)

    def again(self, name: str) -> Job:
        """Start the command of an earlier job once more, with what it was sent with.

        Raises:
            SubmitError: there is no such job, or it runs.
        """
        with self._asked(name):
            info = self.client.get_job_info(name)
        old = _job(info)
        if not old.ended:
            raise SubmitError(f"{name} is {old.status.lower()}; `pmam jobs log {name}` follows it")
        kept = {
            key: value for key, value in (info.runtime_env or {}).items() if key != "_ray_commit"
        }
        words = str((info.metadata or {}).get("pmam", "")).split()
        return self.submit(old.command, TIMES.sub("", name), environment=kept, words=words)

    def all(self) -> list[Job]:
        """All jobs that were submitted, the oldest first."""
        with self._asked():
            found = self.client.list_jobs()
        jobs = [_job(info) for info in found if info.submission_id]
        return sorted(jobs, key=lambda job: job.start_s or 0.0)

    def one(self, name: str) -> Job:
        """A job by its id.

        Raises:
            SubmitError: there is none.
        """
        with self._asked(name):
            return _job(self.client.get_job_info(name))

    def stop(self, name: str) -> Job:
        """Stop a job, and wait until it has ended.

        Raises:
            SubmitError: there is none, or it does not end.
        """
        with self._asked(name):
            self.client.stop_job(name)
        until = time.monotonic() + STOP_S
        while not (job := self.one(name)).ended:
            if time.monotonic() > until:
                raise SubmitError(f"{name} has not ended {STOP_S:g} s after it was told to stop")
            time.sleep(POLL_S)
        return job

    def log(self, name: str) -> str:
        """All that a job has written so far.

        Raises:
            SubmitError: there is no such job.
        """
        with self._asked(name):
            return str(self.client.get_job_logs(name))

    def capacity(self) -> dict[str, float]:
        """CPUs and GPUs of the nodes that are there now; empty where the server does not tell."""
        total: dict[str, float] = {}
        try:
            with self._asked():
                rows = self._get("/api/v0/nodes?detail=1&limit=10000")["data"]["result"]["result"]
        except (SubmitError, KeyError, TypeError):
            return total
        for row in rows:
            if row.get("state") == "ALIVE":
                for name in ("CPU", "GPU"):
                    more = float((row.get("resources_total") or {}).get(name, 0.0))
                    total[name] = total.get(name, 0.0) + more
        return total

    def _get(self, path: str) -> Any:
        return self.client._do_request("GET", path).json()

    @contextlib.contextmanager
    def _asked(self, name: str = "") -> Iterator[None]:
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise TokenError(f"Ray at {self.address}: {advice(found=self.found)}") from error
        except (RuntimeError, OSError, ValueError) as error:
            said = " ".join(str(error).split())
            if name and ("404" in said or "does not exist" in said):
                raise SubmitError(
                    f"no job {name} at {self.address}; `pmam jobs list` names those that are there"
                ) from error
            raise SubmitError(
                f"Ray at {self.address}: {said[:300]}; check the address of its job server (port "
                "8265 of the head), and that the cluster runs"
            ) from error


@contextlib.contextmanager
def _without_addresses() -> Iterator[None]:
    """Ray lets these two override the address that it is given."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _job(info: Any) -> Job:
    def seconds(milliseconds: int | None) -> float | None:
        return None if milliseconds is None else milliseconds / 1000

    return Job(
        id=info.submission_id,
        status=str(getattr(info.status, "value", info.status)),
        command=info.entrypoint or "",
        message=" ".join((info.message or "").split()),
        start_s=seconds(info.start_time),
        end_s=seconds(info.end_time),
    )
