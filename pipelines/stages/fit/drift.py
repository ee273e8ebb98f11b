"""How far prototypes moved from those of the iteration before, by all workers of a fit."""

from dataclasses import fields, replace

import torch

from pipelines.stages.fit.shared import Work
from pmam.prototypes.artifact import Prototypes
from pmam.prototypes.drift import Drift, Overlap, drift


def drift_of(work: Work, prototypes: Prototypes) -> Drift:
    """What changed on the training frames since the posteriors before."""
    assert work.previous_posteriors is not None
    device = work.group.device
    there = _on(prototypes, device)
    k, width = prototypes.means.shape
    own = Overlap.zeros(work.previous_posteriors.spec.width, k, width, device)
    with work.phase(f"{work.name} (drift, frames)", work.training.count, 0) as advance:
        for x, posteriors in work.beside(None)():
            after, _ = there.evaluate(x)
            own.absorb(there.projection.apply(x) if there.projection else x, posteriors, after)
            advance(len(x), "")
    summed = {
        field.name: work.group.total(getattr(own, field.name)).cpu() for field in fields(Overlap)
    }
    return drift(Overlap(**summed), prototypes.means)


def _on(prototypes: Prototypes, device: torch.device) -> Prototypes:
    """The same prototypes on a device; their projection goes where its frames are."""
    covariances = prototypes.covariances
    return replace(
        prototypes,
        weights=prototypes.weights.to(device),
        means=prototypes.means.to(device),
        covariances=None if covariances is None else covariances.to(device),
    )
