"""The fit as a job: in this process, or by Ray Train workers that each stream some clips."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from cluster.session import is_cluster
from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import (
    join,
    open_dataset,
    read_checkpoint,
    read_prototypes,
    write_prototypes,
)
from pipelines.runtime.stage import Stage, record_of
from pipelines.runtime.workers.nodes import check_process
from pipelines.runtime.workers.progress import bar
from pipelines.runtime.workers.remote_progress import Phase, Reported, silent
from pipelines.runtime.workers.worker_group import run_workers
from pipelines.stages.fit.candidate import CANDIDATES, outcome_of
from pipelines.stages.fit.drift import drift_of
from pipelines.stages.fit.frame_partition import FramePartition
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.shared import MOMENTS, Work
from pmam.errors import InputError
from pmam.mixture.covariance_types import covariance_of
from pmam.mixture.model_selection import Outcome, best_count, best_shape, shapes, sweep_json
from pmam.mixture.process_group import Alone, Distributed, ProcessGroup
from pmam.prototypes.artifact import Prototypes
from pmam.prototypes.drift import reordered
from shards.frames.frame_set import FrameSet

RESULT, SWEEP = "result.json", "sweep.json"


@dataclass(frozen=True, kw_only=True)
class FitJob:
    """What each worker needs to know."""

    stage: Stage
    dataset: str  # URLs
    embeddings: str
    previous_posteriors: str | None
    settings: FitSettings


def run_fit(job: FitJob) -> dict[str, Any]:
    """Fit, from what the stage's folder holds on; returns what to record.

    Raises:
        an error of `USER_ERRORS`: what the fit, or a worker of it, refused.
    """
    folder = job.stage.store
    if folder.size(RESULT) is None:
        split(open_frames(job.embeddings), job)  # what it refuses shows before workers start
        crew = job.settings.crew
        # cuML works on the frames of one process.
        if job.settings.backend == "cuml" or not crew.count(on_cluster=is_cluster()):
            device = "cuda" if torch.cuda.is_available() else "cpu"
            fit_part(job, Alone(torch.device(device)), bar)
        else:
            run_workers(_worker, {"job": job}, stage=job.stage, crew=crew)
    folder.delete(MOMENTS)
    if folder.size(SWEEP) is None:
        folder.child(CANDIDATES).clear()
    result: dict[str, Any] = json.loads(folder.read(RESULT))
    return result


def _worker(config: dict[str, Any]) -> None:
    """What each worker runs."""
    import ray.train
    from ray.train.torch import get_device

    check_process(config["expected"])
    job: FitJob = config["job"]
    context = ray.train.get_context()
    rank = context.get_world_rank()
    processes = torch.distributed.group.WORLD
    group = Distributed(get_device(), rank, context.get_world_size(), processes)
    fit_part(job, group, Reported(job.stage.store) if rank == 0 else silent)


def fit_part(job: FitJob, group: ProcessGroup, phase: Phase) -> None:
    """The fit as one worker of the group sees it; the first one writes `result.json`."""
    settings, folder = job.settings, job.stage.store
    frames = open_frames(job.embeddings)
    kept, held_out = split(frames, job)
    encoder = record_of(job.embeddings)["result"]["checkpoint"]
    work = Work(
        name=job.stage.name,
        group=group,
        folder=folder,
        settings=settings,
        training=FramePartition(frames, kept, group),
        held_out=FramePartition(frames, held_out, group),
        encoder=read_checkpoint(encoder).fingerprint,
        previous_posteriors=None
        if job.previous_posteriors is None
        else open_frames(job.previous_posteriors),
        phase=phase,
    )
    dimensions = settings.dimensions(frames.spec.width)
    candidates = shapes(settings.counts, settings.covariances, dimensions)
    tried = [outcome_of(work, candidate) for candidate in candidates]
    shape = best_shape(tried).candidate
    counted = [outcome_of(work, replace(shape, k=k)) for k in sorted(settings.counts)]
    chosen = best_count(counted, settings.choose_by)
    tried = [*(outcome for outcome in tried if outcome not in counted), *counted]
    prototypes = read_prototypes(join(job.stage.url, f"{CANDIDATES}/{chosen.candidate.name}"))
    drift = None if work.previous_posteriors is None else drift_of(work, prototypes)
    notes = [*chosen.complaints, *constant(work, chosen)]
    if group.rank > 0:
        return
    if (
        drift is not None
        and work.previous_posteriors is not None
        and work.previous_posteriors.spec.width == chosen.k
    ):
        prototypes = _ordered(prototypes, reordered(chosen.k, drift.matches))
    write_prototypes(folder, prototypes)
    if len(tried) > 1:
        folder.write(SWEEP, json.dumps(sweep_json(tried, chosen), indent=1).encode())
    result = {
        "k": chosen.k,
        "covariance": chosen.covariance if settings.kind == "gmm" else None,
        "pca": chosen.pca,
        "iterations": chosen.iterations,
        "log_likelihood": chosen.log_likelihood,
        "held_out_log_likelihood": chosen.held_out_log_likelihood,
        "in_use": chosen.components_in_use,
        "mean_max_posterior": chosen.mean_max_posterior,
        "mean_entropy": chosen.mean_entropy,
        "reseeded": chosen.reseeded,
        "complaints": notes,
        "drift": None if drift is None else asdict(drift),
    }
    folder.write(RESULT, json.dumps(result).encode())


def split(frames: FrameSet, job: FitJob) -> tuple[list[str], list[str]]:
    """Clips to fit on, and held-out clips: a seeded choice of those that have embeddings.

    Raises:
        InputError: there are none.
    """
    settings = job.settings
    rows = open_dataset(job.dataset).listed(settings.subsets)
    keys = [row.key for row in rows if row.key in frames and frames.count(row.key)]
    if not keys:
        raise InputError(
            f"{job.embeddings}: no embeddings of clips of {', '.join(settings.subsets)}; "
            "embed these subsets"
        )
    count = max(1, round(settings.held_out * len(keys)))
    order = np.random.default_rng(settings.seed).permutation(len(keys))
    chosen = set(order[:count].tolist()) if len(keys) > 1 else set()
    kept = [key for index, key in enumerate(keys) if index not in chosen]
    held = [key for index, key in enumerate(keys) if index in chosen]
    return kept, held or kept


def constant(work: Work, chosen: Outcome) -> list[str]:
    """A complaint where the regularisation alone says how wide a mixture is in some dimensions.

    They never change, or follow from others, or are of another scale.
    """
    if work.settings.kind == "kmeans":
        return []
    projection = work.projection(chosen.pca)
    x = (work.sample if projection is None else projection.apply(work.sample)).double()
    x = x - x.mean(dim=0)
    variances = covariance_of(chosen.covariance).variances_of(x)
    floor, width = work.settings.regularisation, len(variances)
    still = int((variances < floor).sum())
    if not still:
        return []
    advice = f"reduce by PCA to at most {width - still}"
    if still == width:
        advice = "lower the regularisation"
    return [
        f"constant: {still} of {width} dimensions vary by less than the regularisation of "
        f"{floor:g}, which alone decides what they add to the log-likelihood: {advice}"
    ]


def _ordered(prototypes: Prototypes, order: list[int]) -> Prototypes:
    """The same prototypes, numbered anew."""
    covariances = prototypes.covariances
    if covariances is not None and prototypes.covariance_type is not None:
        covariances = covariance_of(prototypes.covariance_type).ordered(covariances, order)
    return replace(
        prototypes,
        weights=prototypes.weights[order],
        means=prototypes.means[order],
        covariances=covariances,
    )
