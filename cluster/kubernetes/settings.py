"""What can be chosen of a manifest for KubeRay."""

import re
from dataclasses import dataclass
from typing import Literal

from cluster.errors import ClusterError

LABEL, LONGEST = r"[a-z]([-a-z0-9]*[a-z0-9])?", 40  # KubeRay adds to names of at most 63


class ManifestError(ClusterError, ValueError):
    """A manifest that cannot be made; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class KubernetesSettings:
    """The cluster that KubeRay makes, and who runs in it."""

    # What to make: job (a RayJob: a cluster that runs the command, and goes) or cluster (a
    # RayCluster, which stays, to submit commands to).
    kind: Literal["job", "cluster"] = "job"
    # Name of the job or cluster; by default the id that the command has as a submitted job, or
    # pmam.
    name: str | None = None
    # Namespace; by default that of kubectl.
    namespace: str | None = None
    # Image of cluster/container/Dockerfile; by default pmam:cpu, or pmam:cuda with GPUs.
    image: str | None = None
    # Secret with credentials for object stores, whose entries become variables of every pod.
    secret: str | None = None
    # Secret with the cluster's token under auth_token; by default KubeRay makes one.
    token_secret: str | None = None
    # Service account of the pods, which may give them a role.
    service_account: str | None = None
    # Smallest and largest number of pods without a GPU.
    cpu_pods: tuple[int, int] = (1, 8)
    # Smallest and largest number of pods with GPUs; by default 0 to as many as the command asks
    # for.
    gpu_pods: tuple[int, int] | None = None
    # Number of GPUs of such a pod.
    gpus: int = 1
    # CPUs of each worker pod; by default what the largest worker of the command takes, or 4.
    cpus: int | None = None
    # Memory of each worker pod; by default 4 GiB for each CPU, or what a worker takes.
    memory_gib: int | None = None
    # CPUs of the head, which runs the driver and no work.
    head_cpus: int = 2
    # Memory of the head.
    head_memory_gib: int = 8
    # Scratch disk of each pod, at /tmp.
    disk_gib: int = 50
    # Longest time of a job, with all its retries.
    hours: float = 72.0
    # Number of times that a job that failed goes on in a new cluster.
    retries: int = 3
    # Time that a job's record and logs stay after its end.
    keep_hours: float = 24.0
    # Time without work after which the autoscaler takes a pod away.
    idle_s: int = 120

    def __post_init__(self) -> None:
        for option, name in (("name", self.name), ("namespace", self.namespace)):
            if name is not None and (not re.fullmatch(LABEL, name) or len(name) > LONGEST):
                raise ManifestError(
                    f"--kubernetes.{option} {name}: expected at most {LONGEST} small letters, "
                    "digits and -, a letter first"
                )
        for option, pods in (("cpu-pods", self.cpu_pods), ("gpu-pods", self.gpu_pods)):
            if pods is not None and not 0 <= pods[0] <= pods[1]:
                raise ManifestError(
                    f"--kubernetes.{option} {pods[0]} {pods[1]}: expected the smaller number first"
                )
        counts = (self.gpus, self.head_cpus, self.head_memory_gib, self.disk_gib)
        given = (count for count in (self.cpus, self.memory_gib) if count is not None)
        if min(*counts, *given) < 1:
            raise ManifestError("--kubernetes: expected 1 or more CPUs, GPUs and GiB")
        if not self.hours > 0 or self.keep_hours < 0 or self.retries < 0 or self.idle_s < 1:
            raise ManifestError(
                f"--kubernetes.hours {self.hours:g}, keep-hours {self.keep_hours:g}, retries "
                f"{self.retries}, idle-s {self.idle_s}: expected times above 0, and 0 or more "
                "retries"
            )
