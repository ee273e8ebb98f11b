"""evaluate: what systems say of clips against the truth, as numbers, a table and pictures."""

import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cluster.storage.urls import absolute
from pipelines.runtime.declared import Work, stage_function
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import open_dataset, store
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import TITLES
from pipelines.runtime.workers.progress import bar
from pipelines.stages.evaluate.fingerprints import fingerprints
from pipelines.stages.evaluate.outputs import Output
from pipelines.stages.evaluate.plots import class_bars, example_timelines
from pipelines.stages.evaluate.postprocess_file import FILE, as_file, with_stored
from pipelines.stages.evaluate.read_output import read_output
from pipelines.stages.evaluate.results import (
    CURVE_HEAD,
    DIFFERENCE_HEAD,
    HEAD,
    Difference,
    as_csv,
    as_json,
    curve_rows,
    difference_rows,
    main_numbers,
    number_rows,
)
from pipelines.stages.evaluate.sets import Compared, compared
from pipelines.stages.evaluate.settings import EvaluateSettings
from pipelines.stages.evaluate.truth import read_truths
from pmam.events.settings import PostprocessSettings
from pmam.metrics.families import FAMILIES, Evaluated, all_psds, resampled
from pmam.metrics.intervals import Resampled, Row
from pmam.metrics.polyphonic.psds import event_psds_counts, psds_counts_of
from pmam.metrics.results import ClassMean

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 5

RESULTS = "results.json"
log = logging.getLogger("pmam")


@stage_function(ALGORITHM_VERSION)
def evaluate(
    truth: str,
    scores: str | Sequence[str],
    out: str,
    settings: EvaluateSettings,
    *,
    durations: str | None = None,
    audio: str | None = None,
    postprocess: str | None = None,
    name: str = "evaluate",
    fresh: bool = False,
) -> Work:
    """Evaluate one or several systems; returns the URL of the results, which `results_of` reads.

    Args:
        truth: a packed dataset, whose strong labels are the truth, or a table of events.
        scores: URLs of what systems say, ours or others'.
        out: the folder of the results.
        settings: subsets, metrics, and post-processing other than the detectors'.
        durations, audio: lengths of the clips of a table, as of `read_truths`.
        postprocess: a file of post-processing, which takes the place of the systems' own.
        name: of the stage.
        fresh: start over.
    """
    urls = [absolute(url) for url in ([scores] if isinstance(scores, str) else scores)]
    truth = absolute(truth)
    durations = None if durations is None else absolute(durations)
    audio = None if audio is None else absolute(audio)
    postprocess = None if postprocess is None else absolute(postprocess)

    def work(stage: Stage) -> dict[str, Any]:
        truths = read_truths(truth, settings, durations, audio)
        outputs = named([read_output(url) for url in urls], urls)
        if postprocess is not None:
            outputs = with_stored(outputs, postprocess)
        rows: dict[tuple[str, str], list[Row]] = {}
        differences: list[Difference] = []
        curves: list[dict[str, Any]] = []
        lacking: dict[str, Any] = {}
        used: dict[str, PostprocessSettings] = {}
        for of_subset in truths:
            subset = of_subset.subset
            together = compared(of_subset, outputs, settings)
            lacking[subset] = {
                system: {"counts": together.counts[system], "lines": together.told[system]}
                for system in together.systems
            }
            if of_subset is truths[0]:
                used = together.postprocess
            found = _resampled(together, settings)
            for system, numbers_of_system in found.items():
                rows[subset, system] = numbers_of_system.rows(settings.level)
                curves += _curves(subset, system, together.systems[system], settings)
            first = outputs[0].name
            differences += [
                Difference(subset=subset, system=first, minus=other, row=row)
                for other in found
                if other != first
                for row in found[first].minus(found[other], settings.level)
            ]
            if settings.pictures:
                _draw(stage, subset, rows[subset, first], together.systems[first])
        numbers = {
            subset: {
                system: main_numbers(of_system)
                for (other, system), of_system in rows.items()
                if other == subset
            }
            for subset in lacking
        }
        records = number_rows(rows)
        stage.store.write("metrics.csv", as_csv(records, HEAD))
        stage.store.write("metrics.json", as_json(records))
        stage.store.write("psd_roc.csv", as_csv(curves, CURVE_HEAD))
        if len(outputs) > 1:
            records = difference_rows(differences)
            head = (*DIFFERENCE_HEAD, "share_below_zero")
            stage.store.write("differences.csv", as_csv(records, head))
            stage.store.write("differences.json", as_json(records))
        stage.store.write(FILE, as_file(used))
        stage.store.write("lacking.json", json.dumps(lacking, indent=1).encode())
        first = outputs[0].name
        of_first = {subset: of_systems[first] for subset, of_systems in numbers.items()}
        stage.store.write(RESULTS, json.dumps(of_first, indent=1).encode())
        stage.store.write("systems.json", json.dumps(numbers, indent=1).encode())
        main = of_first[truths[0].subset]
        return {metric: entry["value"] for metric, entry in main.items()}

    inputs = fingerprints(truth, urls, durations, audio, postprocess)
    return Work(do=work, settings=settings, inputs=inputs, summary=_summary)


def results_of(url: str) -> dict[str, Any]:
    """What `evaluate` found of the first system: per subset, each main metric's values."""
    results: dict[str, Any] = json.loads(store(url).read(RESULTS))
    return results


def systems_of(url: str) -> dict[str, Any]:
    """What `evaluate` found of all systems: as `results_of`, by system below the subset."""
    results: dict[str, Any] = json.loads(store(url).read("systems.json"))
    return results


def lacking_of(url: str) -> dict[str, Any]:
    """What systems and truth lacked, by subset and system: `counts`, and `lines` for people."""
    found: dict[str, Any] = json.loads(store(url).read("lacking.json"))
    return found


def has_truth(dataset_url: str, settings: EvaluateSettings) -> bool:
    """Whether all subsets to evaluate have strongly labelled clips; says so where not."""
    dataset = open_dataset(dataset_url)
    for subset in settings.subsets:
        if not any(row.events is not None for row in dataset.select([subset])):
            log.warning("no strongly labelled clips in subset %r: nothing to evaluate on", subset)
            return False
    return True


def named(outputs: Sequence[Output], urls: Sequence[str]) -> list[Output]:
    """Outputs under names that differ: the last parts of their paths that tell them apart.

    Raises:
        PipelineError: one is given twice.
    """
    if len(set(urls)) < len(urls):
        raise PipelineError("scores: got one of them twice; give each system once")
    parts = [url.rstrip("/").split("/") for url in urls]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            break
    return [replace(output, name=name) for output, name in zip(outputs, names, strict=True)]


def _resampled(together: Compared, settings: EvaluateSettings) -> dict[str, Resampled]:
    """All numbers of all systems, over the same resamples of recordings."""
    draws = together.truth.draws(settings)
    families = settings.metrics or tuple(FAMILIES)
    with bar("metrics", len(together.systems) * len(families)) as advance:
        return {
            system: resampled(
                *(evaluated, families, settings.metric, draws),
                lambda family: advance(1, family),
            )
            for system, evaluated in together.systems.items()
        }


def _curves(
    subset: str, system: str, evaluated: Evaluated, settings: EvaluateSettings
) -> list[dict[str, Any]]:
    if settings.metrics and "psds" not in settings.metrics:
        return []
    wanted = all_psds(settings.metric)
    if evaluated.scores is None:
        counts = [event_psds_counts(evaluated.detections, one) for one in wanted.values()]
    else:
        once = np.ones((1, len(evaluated.scores.clips)))
        counts = psds_counts_of(evaluated.scores, list(wanted.values()), once)
    return [
        row
        for metric, each in zip(wanted, counts, strict=True)
        for row in curve_rows(subset, system, metric, each.result())
    ]


def _draw(stage: Stage, subset: str, rows: Sequence[Row], evaluated: Evaluated) -> None:
    main = {
        metric: ClassMean(value=entry["value"], per_class=entry["per_class"])
        for metric, entry in main_numbers(rows).items()
    }
    if main:
        _save(stage, f"{subset}-classes.png", class_bars(main))
    if evaluated.scores is not None:
        _save(stage, f"{subset}-examples.png", example_timelines(evaluated.scores))


def _save(stage: Stage, name: str, figure: Any) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    stage.store.write(name, image.getvalue())


def _summary(result: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{TITLES[metric]} {value:.3f}" for metric, value in result.items())
    return f"evaluated ({numbers})"
