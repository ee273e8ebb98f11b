"""A report as one HTML page that needs nothing else."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipelines.pages.charts import Chart, line_chart
from pipelines.pages.render import rendered
from pipelines.report.cards import Cards
from pipelines.report.comparison import (
    Output,
    Pair,
    answer,
    class_heads,
    class_rows,
    difference_rows,
    in_percent,
    overall_rows,
)
from pipelines.report.contents import RunContents
from pipelines.report.data_card import DataCard, inspect_command
from pipelines.report.mistakes import KINDS, Mistake
from pipelines.report.prototype_cards import PrototypeCards
from pipelines.report.training_curves import training_charts
from pipelines.runtime.words import TITLES, counted, duration
from pipelines.stages.evaluate.settings import EvaluateSettings
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2

VERSIONED = ("pmam", "torch", "ray", "numpy")


@dataclass(frozen=True, kw_only=True)
class OfRun:
    """What is shown of one run besides its numbers."""

    run: RunContents
    data: DataCard | None
    prototypes: PrototypeCards | None
    mistakes: Sequence[Mistake]
    cards: Cards


def page(
    shown: Sequence[OfRun],
    outputs: Mapping[str, Sequence[Output]],
    compared: Mapping[str, Sequence[Pair]],
    settings: EvaluateSettings,
) -> str:
    """The whole page.

    Args:
        shown: of each run.
        outputs: all detectors, by subset; the first subset is shown in full.
        compared: pairs of them, by subset.
        settings: resamples behind each interval, and its level.
    """
    subset = next(iter(outputs), "test")
    first, first_pairs = outputs.get(subset, ()), compared.get(subset, ())
    names = ", ".join(of.run.name for of in shown)
    cards = [card for of in shown for card in of.cards.cards]
    return rendered(
        "report.html",
        title=f"Report of {names}",
        answer=answer(first, first_pairs),
        missing=[line for of in shown for line in _missing(of, outputs, several=len(shown) > 1)],
        draws=settings.resamples,
        level=in_percent(settings.level),
        subset=subset,
        subsets=[
            {
                "name": name,
                "clips": counted(len(found[0].scored.rows), "clip"),
                "overall": overall_rows(found),
                "differences": difference_rows(compared[name]),
            }
            for name, found in outputs.items()
            if found
        ],
        titles=list(TITLES.values()),
        cards=cards,
        alone=any(bars["of"] == "alone" for card in cards for bars in card["lanes"][0]["bars"]),
        counts=_counts(shown),
        left_out=sum(of.cards.left_out for of in shown),
        failed=[line for of in shown for line in of.cards.failed],
        kinds=KINDS,
        labels=sorted({card["label"] for card in cards}),
        run_names=[of.run.name for of in shown],
        class_heads=class_heads(first, first_pairs),
        class_rows=class_rows(first, first_pairs),
        curves=_psd_roc(first),
        class_curves=_class_roc(first),
        runs=[_run(of) for of in shown],
        versions=_versions(),
    )


def _missing(of: OfRun, outputs: Mapping[str, Sequence[Output]], *, several: bool) -> list[str]:
    """What a run does not have, and why, a sentence each."""
    run, lines = of.run, []
    unfinished = [*(f"{name} (begun)" for name in run.begun), *run.missing]
    nothing_to_score = run.settings.evaluate.subsets and not any(
        output.scored.run is run for found in outputs.values() for output in found
    )
    skipped = {"score", "evaluate", "score-supervised", "evaluate-supervised"}
    if unfinished and not ({*run.begun, *run.missing} <= skipped and run.dataset):
        lines.append(
            f"The run is not finished; not done: {', '.join(unfinished)}. "
            f"The same command goes on with it."
        )
    if not run.settings.baseline:
        lines.append("No detector of labels alone was trained; --baseline trains one.")
    elif run.settings.iterations == 0:
        lines.append("Nothing was pretrained: the detector has learned from the labels alone.")
    if nothing_to_score:
        subsets = ", ".join(run.settings.evaluate.subsets)
        what = "clips with strong labels and scores" if run.dataset else "dataset yet"
        lines.append(f"There are no {what} in {subsets}: nothing is measured.")
    if of.prototypes is None:
        lines.append("There are no prototypes with posteriors of this run.")
    return [f"{run.name}: {line}" for line in lines] if several else lines


def _counts(shown: Sequence[OfRun]) -> list[str]:
    found = []
    for of in shown:
        kinds = [f"{sum(m.kind == kind for m in of.mistakes)} {kind}" for kind in KINDS]
        if of.mistakes:
            run = f"{of.run.name}: " if len(shown) > 1 else ""
            found.append(f"{run}{', '.join(kinds)}")
    return found


def _psd_roc(outputs: Sequence[Output]) -> list[Chart]:
    """The effective curves of all outputs, for both scenarios."""
    charts = []
    for metric, settings in (("psds1", PSDS1), ("psds2", PSDS2)):
        curves = {}
        for output in outputs:
            if output.numbers is not None:
                found = output.numbers.curves[metric]
                curves[f"{output.name} ({found.value:.3f})"] = (
                    found.effective_fpr_per_hour,
                    found.effective_tpr,
                )
        if curves:
            charts.append(_roc(f"{TITLES[metric]}: all classes", curves, settings.e_max))
    return charts


def _class_roc(outputs: Sequence[Output]) -> list[Chart]:
    """The curve of each class for PSDS1, all outputs in one chart."""
    measured = [output for output in outputs if output.numbers is not None]
    if not measured:
        return []
    charts = []
    for name in measured[0].scored.clips.classes:
        curves = {}
        for output in measured:
            assert output.numbers is not None
            found = output.numbers.curves["psds1"]
            if name in found.class_curves:
                tpr, rate = found.class_curves[name]
                curves[f"{output.name} ({found.per_class[name]:.3f})"] = rate, tpr
        if curves:
            charts.append(_roc(name, curves, PSDS1.e_max))
    return charts


def _roc(title: str, curves: dict[str, Any], e_max: float) -> Chart:
    return line_chart(
        title,
        curves,
        x_label="effective false positives per hour",
        y_label="true-positive ratio",
        x_most=e_max,
        y_span=(0.0, 1.0),
        steps=True,
    )


def _run(of: OfRun) -> dict[str, Any]:
    run = of.run
    longest = max((record["seconds"] for record in run.done.values()), default=0) or 1
    stages = [
        (
            name,
            duration(record["seconds"]),
            f"{record['seconds'] / longest:.4f}",
            str(record["algorithm_version"]),
        )
        for name, record in run.done.items()
    ]
    settings = [
        (name, key, str(value))
        for name, record in run.done.items()
        for key, value in sorted(record.get("settings", {}).items())
    ]
    detectors = [
        {
            "name": arm.name,
            "file": f"{run.place(arm.finetune)}/detector.safetensors",
            "result": run.done[arm.finetune]["result"],
        }
        for arm in run.arms
        if arm.finetune in run.done
    ]
    return {
        "name": run.name,
        "url": run.url,
        "preset": run.preset,
        "charts": training_charts(run),
        "data": of.data,
        "inspect": inspect_command(run),
        "prototypes": of.prototypes,
        "stages": stages,
        "total": duration(sum(record["seconds"] for record in run.done.values())),
        "settings": settings,
        "detectors": detectors,
    }


def _versions() -> list[tuple[str, str]]:
    found = [("Python", platform.python_version())]
    for package in VERSIONED:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:  # a copy of the files on PYTHONPATH
            found.append((package, "not installed as a package"))
    return found
