"""What trainings logged, as charts: losses, numbers on validation clips, use of prototypes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipelines.pages.charts import Chart, line_chart
from pipelines.report.contents import RunContents
from pipelines.runtime.files.urls import store

SPLITS = ("use/", "lr/")  # one line per prototype or group: not drawn one by one
# Charts by what they show: names of what is logged, and the axis.
GROUPS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "losses": (("loss", "strong", "weak", "consistency"), "loss"),
    "accuracy of predicted prototypes": (("accuracy",), "share of masked frames"),
    "prototypes that predictions use": (("entropy",), "exp(entropy)"),
}
VALIDATION = "validation/"


def training_charts(run: RunContents) -> list[Chart]:
    """The charts of every training that logged anything, finished or not."""
    charts = []
    for stage in run.folders:
        if stage.startswith(("pretrain", "finetune")):
            charts += list(_of_training(stage, logged(run.place(stage))))
    return charts


def logged(url: str) -> dict[str, tuple[list[float], list[float]]]:
    """Steps and values of all that a training logged, by name."""
    folder = store(url)
    found: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for name in folder.names("metrics"):
        for line in folder.read(name).splitlines():
            row = json.loads(line)
            for key, value in row.items():
                if key != "step" and value is not None:
                    found[key][0].append(row["step"])
                    found[key][1].append(value)
    return dict(found)


def _of_training(
    stage: str, found: Mapping[str, tuple[list[float], list[float]]]
) -> Iterable[Chart]:
    # What the mixture of prototypes would need to be told apart: how many are in use.
    for title, (names, y_label) in GROUPS.items():
        curves = {name: found[name] for name in names if name in found}
        if "entropy" in curves:
            steps, values = curves["entropy"]
            curves = {"prototypes": (steps, [2.718281828459045**value for value in values])}
        if curves:
            yield line_chart(f"{stage}: {title}", curves, x_label="step", y_label=y_label)
    validated = {
        name.removeprefix(VALIDATION).replace("_", " "): values
        for name, values in found.items()
        if name.startswith(VALIDATION)
    }
    if validated:
        yield line_chart(
            f"{stage}: on validation clips",
            validated,
            x_label="step",
            y_label="value",
            y_span=(0.0, 1.0),
        )
