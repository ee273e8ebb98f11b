"""fit: prototypes from frame embeddings, by a Gaussian mixture or k-means."""

import io
import json
import logging
from typing import Any

from cluster.storage.filesystems import absolute
from pipelines.runtime.stage import Stage, fingerprint_of, run_stage
from pipelines.runtime.urls import dataset_fingerprint, store
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.workers import SWEEP, FitJob, run_fit
from pmam.mixture.model_selection import Outcome

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

PICTURE = "sweep.png"
log = logging.getLogger("pmam")


def fit(
    dataset_url: str,
    embeddings: str,
    out: str,
    settings: FitSettings,
    *,
    before: str | None = None,
    name: str = "fit",
    fresh: bool = False,
) -> str:
    """Fit prototypes to embeddings of training clips; returns the URL of the prototypes.

    Args:
        dataset_url: the dataset; its index tells which embeddings are of training clips.
        embeddings: URL of the embeddings.
        out: the folder of the prototypes.
        settings: number and kind of prototypes.
        before: URL of the posteriors of the iteration before: what moved since is recorded, each
            prototype keeps the number of the one that it took the place of, and
            `settings.warm_start` begins with them.
        name: of the stage.
        fresh: start over.
    """
    dataset_url, embeddings, out = absolute(dataset_url), absolute(embeddings), absolute(out)
    inputs = {
        "dataset": dataset_fingerprint(dataset_url),
        "embeddings": fingerprint_of(embeddings),
    }
    if before is not None:
        before = absolute(before)
        inputs["before"] = fingerprint_of(before)

    def work(stage: Stage) -> dict[str, Any]:
        result = run_fit(
            FitJob(
                stage=stage,
                dataset=dataset_url,
                embeddings=embeddings,
                before=before,
                settings=settings,
            )
        )
        _draw(stage)
        if result["reseeded"]:
            log.warning("%-14s re-seeded %d empty components", stage.name, result["reseeded"])
        for complaint in result["complaints"]:
            log.warning("%-14s bad fit, %s", stage.name, complaint)
        if moved := result["drift"]:
            log.info(
                "%-14s %.0f %% of frames kept their prototype (mutual information %.2f), means "
                "moved by %.2f of the spread",
                stage.name,
                100 * moved["stayed"],
                moved["normalised_mutual_information"],
                moved["mean_shift"],
            )
        return result

    run_stage(
        name,
        out,
        work,
        settings=settings.identity,
        inputs=inputs,
        version=ALGORITHM_VERSION,
        fresh=fresh,
    )
    return out


def sweep_of(url: str) -> tuple[str, list[Outcome]] | None:
    """The name of what was chosen, and all that was tried; None where nothing was to choose."""
    if store(url).size(SWEEP) is None:
        return None
    sweep = json.loads(store(url).read(SWEEP))
    outcomes = [{k: v for k, v in o.items() if k != "name"} for o in sweep["outcomes"]]
    return sweep["chosen"], [Outcome.from_json(outcome) for outcome in outcomes]


def _draw(stage: Stage) -> None:
    if (sweep := sweep_of(stage.url)) is None:
        return
    from pipelines.stages.fit.plots import sweep_figure

    chosen, outcomes = sweep
    image = io.BytesIO()
    sweep_figure(outcomes, chosen).savefig(image, format="png", dpi=110)
    stage.store.write(PICTURE, image.getvalue())
