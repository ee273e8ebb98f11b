"""One fit, by all workers: from a candidate to prototypes and what they are worth."""

import json
import logging
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pipelines.runtime.files.urls import write_prototypes
from pipelines.stages.fit.frame_partition import Blocks, projected
from pipelines.stages.fit.shared import Work
from pipelines.stages.fit.state import Saved
from pmam.clustering.kmeans import TOLERANCE, ClusterStatistics, KMeansState, lloyd
from pmam.clustering.kmeans_init import check_count, seed_centers
from pmam.clustering.pca import Projection
from pmam.clustering.ppca_residual import (
    residual_log_likelihood,
    residual_squares,
    residual_variance,
)
from pmam.clustering.silhouette import silhouette
from pmam.errors import InputError
from pmam.mixture.cuml import cuml_kmeans, on_gpu
from pmam.mixture.diagnostics import complaints, diagnostics_of, posterior_sums
from pmam.mixture.e_step import log_likelihood
from pmam.mixture.em import (
    FitState,
    centers_of_posteriors,
    expectation_maximisation,
    from_clusters,
    from_posteriors,
)
from pmam.mixture.model_selection import Candidate, Outcome, bic
from pmam.mixture.process_group import Alone
from pmam.prototypes.artifact import Prototypes

CANDIDATES, STATE, OUTCOME = "candidates", "state.safetensors", "outcome.json"
SILHOUETTE_FRAMES = 4000
log = logging.getLogger("pmam")


def outcome_of(work: Work, candidate: Candidate) -> Outcome:
    """Fit a candidate and write it, or read what was written.

    Raises:
        InputError: frames that cannot be fitted: too few, or of too many dimensions.
    """
    group, density = work.group, work.settings.kind == "gmm"
    folder = work.folder.child(f"{CANDIDATES}/{candidate.name}")
    found = b""
    if group.rank == 0 and folder.size(OUTCOME) is not None:
        found = folder.read(OUTCOME)
    if found := group.agreed(found):
        return Outcome.from_json(json.loads(found))
    check_count(work.training.all, candidate.k)
    saved = Saved(group, folder, STATE)
    projection = work.projection(candidate.pca)
    data = projected(work.training, projection)
    fit = _mixture if density else _kmeans
    fitted, state = fit(work, candidate, data, projection, saved)
    sums = group.total(posterior_sums(fitted, work.held_out.blocks))
    diagnostics = diagnostics_of(sums, fitted.means.shape[1], density=density)
    train = fitted.log_likelihoods[-1] if density else None
    outcome = Outcome(
        k=candidate.k,
        covariance=candidate.covariance,
        pca=candidate.pca,
        iterations=state.iteration,
        converged=state.converged,
        reseeded=state.reseeded,
        held_out_log_likelihood=diagnostics.log_likelihood,
        components_in_use=diagnostics.components_in_use,
        mean_max_posterior=diagnostics.mean_max_posterior,
        mean_entropy=diagnostics.mean_entropy,
        silhouette=_silhouette(fitted, work.sample),
        complaints=tuple(complaints(diagnostics, train)),
        **(_likelihoods(work, fitted, data, diagnostics.log_likelihood) if density else {}),
        seconds=round(saved.seconds, 1),
    )
    if group.rank == 0:
        write_prototypes(folder, replace(fitted, diagnostics=diagnostics))
        folder.write(OUTCOME, json.dumps(outcome.to_json()).encode())
    saved.drop()
    return Outcome.from_json(json.loads(group.agreed(json.dumps(outcome.to_json()).encode())))


def _kmeans(
    work: Work, candidate: Candidate, data: Blocks, projection: Projection | None, saved: Saved
) -> tuple[Prototypes, KMeansState]:
    state = _clustering(work, candidate, data, projection, saved)
    weights = torch.full((candidate.k,), 1 / candidate.k, dtype=torch.float64)
    prototypes = Prototypes(
        kind="kmeans",
        weights=weights.to(state.centers),
        means=state.centers,
        projection=projection,
        encoder=work.encoder,
    )
    return prototypes, state


def _mixture(
    work: Work, candidate: Candidate, data: Blocks, projection: Projection | None, saved: Saved
) -> tuple[Prototypes, FitState]:
    settings, covariance = work.settings, candidate.covariance
    found = saved.read()
    if found is None or "weights" not in found:  # EM has not begun
        if settings.warm_start and work.previous_posteriors is not None:
            shape = (_same_count(work, candidate), _width(work, projection))
            start = from_posteriors(
                work.group, work.beside(projection), shape, covariance, settings.regularisation
            )
        else:
            centers = _clustering(work, candidate, data, projection, saved).centers
            start = from_clusters(work.group, data, centers, covariance, settings.regularisation)
        found = saved.write(start.tensors)
    state = FitState.from_tensors(found, covariance)
    title = f"{work.name} (EM, {candidate.name})"
    with work.phase(title, settings.iterations, state.iteration) as advance:
        state = expectation_maximisation(
            data,
            state,
            work.group,
            reg_covar=settings.regularisation,
            tol=settings.tolerance,
            max_iter=settings.iterations,
            keep=saved.write,
            on_iteration=lambda now: advance(
                1, f"log-likelihood {now.log_likelihoods[-1]:.3f} per frame"
            ),
        )
    prototypes = Prototypes(
        kind="gmm",
        weights=state.parameters.weights,
        means=state.parameters.means,
        covariance_type=covariance,
        covariances=state.parameters.covariances,
        projection=projection,
        temperature=settings.temperature,
        encoder=work.encoder,
        log_likelihoods=state.log_likelihoods,
    )
    return prototypes, state


def _clustering(
    work: Work, candidate: Candidate, data: Blocks, projection: Projection | None, saved: Saved
) -> KMeansState:
    found, settings = saved.read(), work.settings
    if found is None:
        sample = work.sample if projection is None else projection.apply(work.sample)
        variance = float(sample.double().var(dim=0, correction=0).mean())
        if settings.warm_start and work.previous_posteriors is not None:
            shape = (_same_count(work, candidate), _width(work, projection))
            centers = centers_of_posteriors(work.group, work.beside(projection), shape)
            first = KMeansState(centers=centers, variance=variance).tensors()
            found = saved.write(lambda: first)
        elif (held := _on_gpu(work, data)) is not None:
            log.info("%-14s k-means by cuML", work.name)
            done = cuml_kmeans(
                held,
                candidate.k,
                seed=settings.seed,
                max_iterations=settings.iterations,
                tolerance=TOLERANCE * variance,
            )
            found = saved.write(
                lambda: KMeansState(
                    centers=done.centers,
                    variance=variance,
                    iteration=done.iterations,
                    converged=True,  # or stopped after all iterations
                ).tensors()
            )
        else:
            found = saved.write(
                lambda: KMeansState(
                    centers=seed_centers(sample, candidate.k, settings.seed), variance=variance
                ).tensors()
            )
    state = KMeansState.from_tensors(found)
    title = f"{work.name} (k-means, {candidate.name})"
    with work.phase(title, settings.iterations, state.iteration) as advance:

        def told(now: KMeansState, total: ClusterStatistics) -> None:
            frames = float(total.counts.sum())
            advance(1, f"squared distance {total.inertia / frames:.4g} per frame")

        return lloyd(
            data,
            state,
            work.group,
            max_iterations=settings.iterations,
            keep=saved.write,
            on_iteration=told,
        )


def _on_gpu(work: Work, data: Blocks) -> Tensor | None:
    """The frames `(n, d)` in one array where cuML is to work on them."""
    if not isinstance(work.group, Alone):
        return None
    return on_gpu(data, work.settings.backend, work.group.device)


def _likelihoods(
    work: Work, fitted: Prototypes, data: Blocks, held_out: float | None
) -> dict[str, Any]:
    """Of the training frames, and of held-out ones in the full space."""
    mixture, projection = fitted.mixture, fitted.projection
    own = log_likelihood(data, mixture) if work.training.count else (0.0, 0)
    total, frames = work.group.total(mixture.means.new_tensor(own)).tolist()
    extra = 0.0
    if projection is not None:
        squares = work.group.total(residual_squares(work.held_out.blocks, projection))
        variance = residual_variance(work.moments, projection) + work.settings.regularisation
        extra = residual_log_likelihood(float(squares[1] / squares[0]), projection, variance)
    return {
        "parameters": mixture.free_parameters,
        "log_likelihood": total / frames,
        "bic": bic(total, mixture.free_parameters, round(frames)),
        "full_space_log_likelihood": None if held_out is None else held_out + extra,
    }


def _silhouette(fitted: Prototypes, sample: Tensor) -> float | None:
    """In the space of the embeddings, so that all fits compare; None for a single cluster."""
    x = sample[:: -(-len(sample) // SILHOUETTE_FRAMES)]
    labels = fitted.evaluate(x)[0].argmax(dim=1)
    return silhouette(x, labels) if 1 < len(set(labels.tolist())) < len(labels) else None


def _same_count(work: Work, candidate: Candidate) -> int:
    """K, where the previous iteration had as many prototypes."""
    previous = work.previous_posteriors
    if previous is not None and previous.spec.width != candidate.k:
        raise InputError(
            f"warm start: {previous.spec.width} prototypes before, {candidate.k} now; ask for "
            "as many, or leave --warm-start out"
        )
    return candidate.k


def _width(work: Work, projection: Projection | None) -> int:
    return work.training.width if projection is None else len(projection.components)
