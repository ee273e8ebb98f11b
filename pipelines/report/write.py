"""The report of one run or several, as a page and a table of numbers."""

import logging
from collections.abc import Sequence

from cluster.storage.urls import absolute
from pipelines.report.cards import Cards, cards
from pipelines.report.comparison import Output, metrics_csv, pairs
from pipelines.report.contents import ALONE, RunContents, contents
from pipelines.report.data_card import data_card
from pipelines.report.mistakes import mistakes, worst
from pipelines.report.model_card import write_cards
from pipelines.report.numbers import measured, scored
from pipelines.report.page import OfRun, page
from pipelines.report.prototype_cards import prototype_cards
from pipelines.report.settings import ReportSettings
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import join, store
from pipelines.stages.evaluate.settings import EvaluateSettings

PAGE, METRICS = "report.html", "metrics.csv"
PROTOTYPE_SHARE = 0.2  # of the page's size, for the sounds of prototypes
log = logging.getLogger("pmam")


def write_report(
    runs: Sequence[str],
    out: str,
    settings: ReportSettings | None = None,
    *,
    cards_too: bool = False,
) -> str:
    """Write the page and `metrics.csv`; returns the URL of the page.

    Runs that are not finished are shown as far as they got. Nothing of them is changed, but that
    with `cards_too` each of their detectors gets a card.

    Args:
        runs: folders of runs, one or more; later ones are compared with the first.
        out: the folder of the page.
        settings: how much is shown.
        cards_too: write `README.md` beside each detector of the runs.

    Raises:
        PipelineError: no run, the same run twice, or a folder that is none of a run.
    """
    settings = settings or ReportSettings()
    urls = [absolute(run) for run in runs]
    if not urls or len(set(urls)) < len(urls):
        raise PipelineError(f"runs {list(runs)}: expected one or more, each once")
    found = [contents(url) for url in urls]
    subsets = list(dict.fromkeys(name for run in found for name in run.settings.evaluate.subsets))
    # Of several runs those of the first, so that differences are over the same resamples.
    of_numbers = found[0].settings.evaluate
    outputs = {subset: _outputs(found, subset, of_numbers) for subset in subsets}
    outputs = {subset: of for subset, of in outputs.items() if of}
    compared = {subset: pairs(of) for subset, of in outputs.items()}
    first = next(iter(outputs.values()), [])
    shown = [_of_run(run, first, settings, len(found)) for run in found]
    html = page(shown, outputs, compared, of_numbers).encode()
    folder = store(absolute(out))
    folder.write(METRICS, metrics_csv(outputs).encode())
    folder.write(PAGE, html)
    for of in shown if cards_too else ():
        for url in write_cards(of.run, of.data, outputs):
            log.info("model card     %s", url)
    log.info("report         %.1f MB, %s", len(html) / 1e6, folder.path(PAGE))
    return join(absolute(out), PAGE)


def _outputs(found: Sequence[RunContents], subset: str, settings: EvaluateSettings) -> list[Output]:
    outputs = []
    for run in found:
        if run.dataset is None or subset not in run.settings.score.subsets:
            continue
        for arm in run.arms:
            of = scored(run, arm, subset)
            if of is None:
                continue
            has_event = any(of.clips.ground_truth.values())
            name = arm.name if len(found) == 1 else f"{run.name}: {arm.name}"
            numbers = measured(of, settings) if has_event else None
            outputs.append(Output(name=name, scored=of, numbers=numbers))
    return outputs


def _of_run(
    run: RunContents, outputs: Sequence[Output], settings: ReportSettings, runs: int
) -> OfRun:
    room = settings.page_mb * 1e6 / runs
    of_run = [output.scored for output in outputs if output.scored.run is run]
    alone = next((one for one in of_run if one.arm.name == ALONE), None)
    main = next((one for one in of_run if one.arm.name != ALONE), alone)
    wrong = [] if main is None else mistakes(main)
    shown = Cards(cards=[], left_out=0, failed=[])
    if main is not None:
        chosen = worst(wrong, settings.events)
        other = alone if main is not alone else None
        shown = cards(main, chosen, int(room * (1 - PROTOTYPE_SHARE)), other)
    if shown.left_out:
        log.warning("report: %d events left out, --page-mb holds no more", shown.left_out)
    for reason in dict.fromkeys(shown.failed):
        log.warning("report: %s", reason)
    return OfRun(
        run=run,
        data=data_card(run),
        prototypes=prototype_cards(run, int(room * PROTOTYPE_SHARE)),
        mistakes=wrong,
        cards=shown,
    )
