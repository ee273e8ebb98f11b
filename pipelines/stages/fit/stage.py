"""fit: prototypes from frame embeddings, by a Gaussian mixture or k-means."""

import io
import json
import logging
from collections.abc import Mapping
from typing import Any

from pipelines.runtime.declared import DatasetUrl, StageUrl, Work, stage_function
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.workers import SWEEP, FitJob, run_fit
from pmam.mixture.model_selection import Outcome

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

PICTURE = "sweep.png"
log = logging.getLogger("pmam")


@stage_function(ALGORITHM_VERSION)
def fit(
    dataset: DatasetUrl,
    embeddings: StageUrl,
    out: str,
    settings: FitSettings,
    *,
    before: StageUrl | None = None,
    name: str = "fit",
    fresh: bool = False,
) -> Work:
    """Fit prototypes to embeddings of training clips; returns the URL of the prototypes.

    Args:
        dataset: the dataset; its index tells which embeddings are of training clips.
        embeddings: URL of the embeddings.
        out: the folder of the prototypes.
        settings: number and kind of prototypes.
        before: URL of the posteriors of the iteration before: what moved since is recorded, each
            prototype keeps the number of the one that it took the place of, and
            `settings.warm_start` begins with them.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        result = run_fit(
            FitJob(
                stage=stage,
                dataset=dataset,
                embeddings=embeddings,
                previous_posteriors=before,
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

    return Work(do=work, settings=settings.identity, summary=_summary)


def _summary(result: Mapping[str, Any]) -> str:
    used = f"{result['in_use']} of {result['k']} prototypes in use"
    return f"fitted in {counted(result['iterations'], 'iteration')}, {used},"


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
