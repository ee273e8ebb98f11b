"""fit: prototypes from frame embeddings, by a Gaussian mixture or k-means."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load, save

from cluster.storage import absolute
from pipelines.calibrate import TRAINING_SUBSETS
from pipelines.frame_jobs import open_frames
from pipelines.ledger import Stage, fingerprint_of, record_of, run_stage
from pipelines.progress import bar
from pipelines.urls import (
    dataset_fingerprint,
    open_dataset,
    read_checkpoint,
    write_prototypes,
)
from pmam.gmm import FitState, GaussianMixture
from pmam.kmeans import kmeans
from pmam.pca import Projection, fit_projection, moments
from pmam.prototypes import Prototypes, complaints, diagnose
from shards.frames import FrameSet

log = logging.getLogger("pmam")
STATE = "state.safetensors"


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How prototypes are fitted."""

    # Number of prototypes.
    k: int = 30
    # Gaussian mixture, or k-means with one-hot posteriors.
    kind: Literal["gmm", "kmeans"] = "gmm"
    # Of each Gaussian.
    covariance: Literal["full", "diag"] = "full"
    # Dimensions that the mixture sees; None: as they come. A full covariance in many
    # dimensions fits few frames only too well.
    pca: int | None = 48
    # EM ends when the log-likelihood per frame rises by less.
    tolerance: float = 1e-3
    # Added to the variances.
    regularisation: float = 1e-6
    # At most so many EM iterations.
    iterations: int = 100
    # Share of the clips kept aside, to tell a good fit from a degenerate one.
    held_out: float = 0.1
    # Which clips' embeddings are used.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # Of the initial centres and of the clips kept aside.
    seed: int = 0


def fit(
    dataset_url: str,
    embeddings: str,
    out: str,
    settings: FitSettings,
    *,
    name: str = "fit",
    fresh: bool = False,
) -> str:
    """Fit prototypes to embeddings of training clips; returns the URL of the prototypes.

    Args:
        dataset_url: the dataset; its index tells which embeddings are of training clips.
        embeddings: URL of the embeddings.
        out: the folder of the prototypes.
        settings: number and kind of prototypes.
        name: of the stage.
        fresh: start over.
    """
    dataset_url, embeddings, out = absolute(dataset_url), absolute(embeddings), absolute(out)

    def work(stage: Stage) -> dict[str, Any]:
        frames = open_frames(embeddings)
        training = open_dataset(dataset_url).select(settings.subsets)
        keys = [row.key for row in training if row.key in frames]
        if not keys:
            raise ValueError(
                f"{embeddings}: no embeddings of clips of {', '.join(settings.subsets)}; "
                "embed these subsets"
            )
        kept, aside = _split(keys, settings)
        projection = None
        if settings.pca is not None:
            # Embeddings are standardised by their encoder, or principal components already:
            # standardised again, all of these would weigh the same.
            total = moments(_blocks(frames, kept))
            projection = fit_projection(total, settings.pca, standardise=False)
        data = _blocks(frames, kept, projection)
        if settings.kind == "gmm":
            fitted = _fit_mixture(stage, data, settings, projection)
        else:
            result = kmeans(
                data, settings.k, seed=settings.seed, max_iterations=settings.iterations
            )
            weights = torch.full((settings.k,), 1 / settings.k, dtype=torch.float64)
            fitted = Prototypes(
                kind="kmeans", weights=weights, means=result.centers, projection=projection
            )
        diagnostics = diagnose(fitted, _blocks(frames, aside))
        prototypes = Prototypes(
            kind=fitted.kind,
            weights=fitted.weights,
            means=fitted.means,
            covariance_type=fitted.covariance_type,
            covariances=fitted.covariances,
            projection=projection,
            encoder=read_checkpoint(record_of(embeddings)["result"]["checkpoint"]).fingerprint,
            log_likelihoods=fitted.log_likelihoods,
            diagnostics=diagnostics,
        )
        train = fitted.log_likelihoods[-1] if fitted.log_likelihoods else None
        bad = complaints(diagnostics, train)
        for complaint in bad:
            log.warning("%-14s %s", stage.name, complaint)
        write_prototypes(stage.store, prototypes)
        return {
            "k": settings.k,
            "iterations": len(fitted.log_likelihoods),
            "log_likelihood": train,
            "held_out_log_likelihood": diagnostics.log_likelihood,
            "in_use": diagnostics.components_in_use,
            "mean_max_posterior": diagnostics.mean_max_posterior,
            "mean_entropy": diagnostics.mean_entropy,
            "complaints": bad,
        }

    inputs = {
        "dataset": dataset_fingerprint(dataset_url),
        "embeddings": fingerprint_of(embeddings),
    }
    run_stage(name, out, work, settings=settings, inputs=inputs, fresh=fresh)
    return out


def _split(keys: list[str], settings: FitSettings) -> tuple[list[str], list[str]]:
    """Clips to fit on, and clips kept aside."""
    aside = max(1, round(settings.held_out * len(keys)))
    order = np.random.default_rng(settings.seed).permutation(len(keys))
    chosen = set(order[:aside].tolist()) if len(keys) > 1 else set()
    kept = [key for index, key in enumerate(keys) if index not in chosen]
    held = [key for index, key in enumerate(keys) if index in chosen]
    return kept, held or kept


def _blocks(
    frames: FrameSet, keys: list[str], projection: Projection | None = None
) -> Callable[[], Iterator[torch.Tensor]]:
    """The frames of some clips, a few thousand at a time, as often as asked."""

    def blocks() -> Iterator[torch.Tensor]:
        held: list[np.ndarray] = []
        count = 0
        for key in keys:
            held.append(frames.read(key))
            count += len(held[-1])
            if count >= 16384:
                yield _projected(held, projection)
                held, count = [], 0
        if held:
            yield _projected(held, projection)

    return blocks


def _projected(parts: list[np.ndarray], projection: Projection | None) -> torch.Tensor:
    block = torch.from_numpy(np.concatenate(parts))
    return block if projection is None else projection.apply(block)


def _fit_mixture(
    stage: Stage,
    data: Callable[[], Iterator[torch.Tensor]],
    settings: FitSettings,
    projection: Projection | None,
) -> Prototypes:
    """EM, with its state written after each iteration so that a killed fit goes on."""
    mixture = GaussianMixture(
        settings.k,
        covariance_type=settings.covariance,
        tol=settings.tolerance,
        reg_covar=settings.regularisation,
        max_iter=settings.iterations,
        seed=settings.seed,
    )
    folder = stage.store
    start = None
    if folder.size(STATE) is not None:
        start = FitState.from_tensors(load(folder.read(STATE)), settings.covariance)
    done = start.iteration if start else 0
    with bar(f"{stage.name} (EM)", settings.iterations, done) as advance:

        def on_iteration(_: int, log_likelihood: float) -> None:
            folder.write(STATE, save(mixture.state_.tensors()))
            advance(1, f"log-likelihood {log_likelihood:.3f} per frame")

        mixture.fit(data, start=start, on_iteration=on_iteration)
    if mixture.reseeded_:
        log.warning("%-14s re-seeded %d empty components", stage.name, mixture.reseeded_)
    parameters = mixture.parameters_
    return Prototypes(
        kind="gmm",
        weights=parameters.weights,
        means=parameters.means,
        covariance_type=parameters.covariance_type,
        covariances=parameters.covariances,
        projection=projection,
        log_likelihoods=mixture.log_likelihoods_,
    )
