"""A command as a manifest or a batch script, with pods and nodes as its stages ask for."""

import math
from collections.abc import Iterator, Mapping
from importlib.metadata import version

from cluster.kubernetes import manifest
from cluster.kubernetes.manifest import Group
from cluster.kubernetes.settings import KubernetesSettings
from cluster.slurm import script
from cluster.slurm.settings import SlurmSettings
from cluster.submit.jobs import job_id
from pipelines.cli.jobs.submitted import Submitted
from pipelines.runtime.workers.crew import GB, Crew
from pipelines.runtime.workers.pool import Pool

CPUS, GIB_PER_CPU = 4, 4
GIB = 2**30
# Ray gives tasks 7 tenths of a pod's memory, less what its object store takes of the rest.
SHARE_OF_POD = 0.6
NAMED = "pmam"


def kubernetes_manifest(
    settings: KubernetesSettings, command: Submitted | None, variables: Mapping[str, str]
) -> str:
    """The YAML that KubeRay takes.

    Args:
        settings: what was chosen.
        command: that the job runs, and that decides the sizes; None: a cluster for any.
        variables: of every pod.
    """
    cpus = settings.cpus or max(CPUS, *(math.ceil(each.cpus or 0) for each in _all(command)), 0)
    memory_gib = settings.memory_gib or max(
        GIB_PER_CPU * cpus,
        *(math.ceil(each.memory_gb * GB / GIB / SHARE_OF_POD) for each in _all(command)),
        0,
    )
    gpu_pods = settings.gpu_pods or (0, math.ceil(_gpus(command) / settings.gpus))
    groups = [
        Group(name=name, least=pods[0], most=pods[1], cpus=cpus, memory_gib=memory_gib, gpus=gpus)
        for name, pods, gpus in (("cpu", settings.cpu_pods, 0), ("gpu", gpu_pods, settings.gpus))
    ]
    words = () if command is None else command.words
    is_job = settings.kind == "job"
    return manifest.rendered(
        settings,
        ray_version=version("ray"),
        groups=groups,
        name=job_id(words) if is_job else NAMED,
        command=("pmam", *words) if is_job else (),
        variables=variables,
    )


def slurm_script(settings: SlurmSettings, command: Submitted, variables: Mapping[str, str]) -> str:
    """The script that sbatch takes; arguments as for `kubernetes_manifest`."""
    asked = math.ceil(_gpus(command) / settings.nodes)
    return script.rendered(
        settings,
        name=job_id(command.words),
        gpus=asked if settings.gpus is None else settings.gpus,
        command=("pmam", *command.words),
        variables=variables,
    )


def _all(command: Submitted | None) -> Iterator[Crew | Pool]:
    if command is not None:
        yield from command.crews.values()
        yield from command.pools.values()


def _gpus(command: Submitted | None) -> float:
    """GPUs that the largest of the stages that ask for some takes at once."""
    crews = () if command is None else command.crews.values()
    return max(
        (
            (crew.gpus or 0.0)
            * max(1, crew.workers[-1] if isinstance(crew.workers, tuple) else crew.workers)
            for crew in crews
        ),
        default=0.0,
    )
