"""weak-report: the numbers of all folds of a training, their mean and spread, as table and page."""

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.pages.render import rendered
from pipelines.runtime.declared import NoSettings, StageUrl, Work, stage_function
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import Stage, fingerprint_of, record_of
from pipelines.runtime.words import counted
from pipelines.stages.weak_labels.figures import data_url, png
from pipelines.stages.weak_labels.plots import learning_curves

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

TITLES = {
    "ap_micro": "micro AP",
    "ap_macro": "macro AP",
    "roc_auc": "ROC AUC",
    "frame_ap": "frame AP",
    "psds1": "PSDS1",
}
Numbers = Mapping[str, float]


@stage_function(ALGORITHM_VERSION)
def weak_report(
    out: str,
    *,
    folds: Sequence[str],
    figures: StageUrl | None = None,
    name: str = "weak_report",
    fresh: bool = False,
) -> Work:
    """Put folds together; returns the URL of `folds.json` and `report.html`.

    Args:
        out: the folder of the report.
        folds: URLs of the trainings, one for each fold.
        figures: pictures of single clips to show with it.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        results = [record_of(url)["result"] for url in folds]
        by_fold = {result["fold"]: result for result in results}
        curves = {result["fold"]: _epochs(url) for result, url in zip(results, folds, strict=True)}
        summary = {
            "folds": {str(fold): result["validation"] for fold, result in by_fold.items()},
            "mean": spread(results)[0],
            "standard_deviation": spread(results)[1],
            "ap_per_class": per_class(results),
        }
        stage.store.write("folds.json", json.dumps(summary, indent=1).encode())
        picture = png(learning_curves(curves))
        stage.store.write("curves.png", picture)
        page = rendered(
            "weak_report.html",
            title="Training on weak labels",
            head=("fold", "best epoch", *(TITLES[n] for n in metrics_of(results))),
            rows=table_rows(results),
            classes=[(name, f"{value:.3f}") for name, value in per_class(results).items()],
            curves=data_url(picture),
            pictures=_pictures(figures),
        )
        stage.store.write("report.html", page.encode())
        return {"count": len(results), **summary}

    identified = {f"fold {number}": fingerprint_of(url) for number, url in enumerate(folds, 1)}
    return Work(do=work, settings=NoSettings(), inputs=identified, summary=_summary)


def metrics_of(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics that every fold has."""
    return [n for n in TITLES if all(n in result["validation"] for result in results)]


def spread(results: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and standard deviation (of a sample) over folds; no deviation of a single one."""
    means, deviations = {}, {}
    for name in metrics_of(results):
        values = [result["validation"][name] for result in results]
        means[name] = statistics.fmean(values)
        if len(values) > 1:
            deviations[name] = statistics.stdev(values)
    return means, deviations


def per_class(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean average precision of each class over folds."""
    names = results[0]["per_class"]["ap"]
    return {n: statistics.fmean(r["per_class"]["ap"][n] for r in results) for n in names}


def table_rows(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each fold, then the mean and the spread of several."""
    names = metrics_of(results)
    rows = [
        (
            str(result["fold"]),
            f"{result['epoch']} of {result['epochs']}",
            *(f"{result['validation'][name]:.4f}" for name in names),
        )
        for result in results
    ]
    means, deviations = spread(results)
    if deviations:
        rows.append(("mean", "", *(f"{means[name]:.4f}" for name in names)))
        rows.append(("standard deviation", "", *(f"{deviations[name]:.4f}" for name in names)))
    return rows


def _epochs(url: str) -> list[dict[str, float]]:
    folder = store(url)
    lines = [line for name in folder.names("metrics") for line in folder.read(name).splitlines()]
    return [row for row in map(json.loads, lines) if "epoch" in row]


def _pictures(figures: str | None) -> list[dict[str, str]]:
    if figures is None:
        return []
    folder = store(figures)
    names = [name for name in folder.names() if name.endswith(".png")]
    return [{"source": data_url(folder.read(name)), "title": name} for name in sorted(names)]


def _summary(result: Mapping[str, Any]) -> str:
    folds, value = counted(result["count"], "fold"), result["mean"]["ap_micro"]
    return f"put {folds} together: micro AP {value:.3f}"
