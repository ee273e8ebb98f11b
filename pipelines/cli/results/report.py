"""The command `report`: what came out of runs, to look at and listen to."""

from typing import Annotated

import tyro
from tyro.conf import Positional

from cluster.storage.urls import absolute
from pipelines.report.settings import ReportSettings
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.lines import print_result


def report(
    runs: Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]],
    out: str | None = None,
    settings: Annotated[ReportSettings, tyro.conf.arg(name="")] = ReportSettings(),
) -> None:
    """Write what came out of runs as one HTML file that needs nothing else, and metrics.csv.

    It says how good the detector is and how sure that is, plays the events that are worst, and
    shows classes, curves, data, prototypes and settings. Of several runs the later ones are
    compared with the first, clip by clip. A run that is not finished is shown as far as it got.

    Args:
        runs: Folders of runs, as `pmam run` wrote them.
        out: Folder of report.html and metrics.csv; by default the folder report of the first run.
        settings: How much is shown.
    """
    if not runs:
        raise PipelineError("no run: give the folder of one, or of several")
    from pipelines.report.write import write_report

    print_result(write_report(runs, out or f"{absolute(runs[0]).rstrip('/')}/report", settings))
