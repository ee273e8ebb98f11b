"""The commands of weak labels: train-weak and weak-figures."""

from typing import Annotated

import tyro
from tyro.conf import Positional

from pipelines.cli.types import Dataset, Flag, Flat, Out
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import CHECKPOINT, DATASET, checked
from pipelines.runtime.files.urls import dataset_fingerprint, join, open_dataset
from pipelines.runtime.identity import digest, parted
from pipelines.runtime.lines import print_result
from pipelines.runtime.tables import print_rows
from pipelines.runtime.workers.reach import joined
from pipelines.stages.weak_labels.settings import WeakTrainSettings

SHOWN = 2  # clips that are drawn where none are named


def train_weak(
    dataset: Dataset,
    out: Positional[Annotated[str | None, tyro.conf.arg(metavar="OUT")]] = None,
    fold: tuple[int, ...] = (),
    clips: tuple[str, ...] = (),
    settings: Annotated[WeakTrainSettings, Flat] = WeakTrainSettings(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Train a network on weak labels alone, each fold held out in turn (MTL, arXiv 2008.07085).

    OUT gets a folder for each fold, with detector.safetensors for `pmam detect`, and OUT/report
    with the numbers of all folds, their mean and spread. Clips need folds, as `pmam soundscapes
    --preset mtl` and `pmam pack --source mtl` give them.

    Args:
        dataset: Folder of the dataset.
        out: Folder of the detectors; by default one named after the settings, below runs/.
        fold: Folds to hold out, one after the other; by default each of them.
        clips: Ids of clips to draw for the report; by default two of the last fold.
        settings: Network, loss, training.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    reads = checked((DATASET, dataset))
    from pipelines.stages.weak_labels.folds import folds_of, split_fold

    packed = open_dataset(dataset)
    chosen = list(dict.fromkeys(fold)) or folds_of(dataset, packed, settings)
    splits = [split_fold(dataset, packed, settings, each) for each in chosen]  # refuse first
    place = out or _default_folder(dataset, settings)
    with joined(address, reads=reads, writes=(place,)):
        from pipelines.stages.weak_labels.figures import FigureSettings, weak_figures
        from pipelines.stages.weak_labels.report import (
            TITLES,
            metrics_of,
            table_rows,
            weak_report,
        )
        from pipelines.stages.weak_labels.stage import train_weak as stage
        from pipelines.stages.weak_labels.task import CHECKPOINT as DETECTOR

        trained = [
            stage(
                dataset,
                join(place, f"fold-{each}"),
                settings,
                fold=each,
                name=f"train_weak-{each}",
                fresh=fresh,
            )
            for each in chosen
        ]
        told = "-".join(map(str, chosen))
        drawn = clips or tuple(row.source_id for row in splits[-1].validation[:SHOWN])
        figures = weak_figures(
            dataset,
            join(place, f"figures-{told}"),
            FigureSettings(clips=drawn),
            checkpoint=join(trained[-1], DETECTOR),
            fresh=fresh,
        )
        report = weak_report(
            join(place, f"report-{told}"), folds=trained, figures=figures, fresh=fresh
        )
    from pipelines.runtime.stage import record_of

    results = [record_of(url)["result"] for url in trained]
    head = ("fold", "best epoch", *(TITLES[name] for name in metrics_of(results)))
    print_rows("held-out folds", head, table_rows(results))
    print_result(report)


def _default_folder(dataset: str, settings: WeakTrainSettings) -> str:
    """Where a training goes that was given no folder: a function of what it is made of."""
    made_of = {"dataset": dataset_fingerprint(dataset), "settings": parted(settings.identity)[0]}
    return f"runs/weak-{settings.model}-{digest(made_of)[:10]}"


def weak_figures(
    dataset: Dataset,
    out: Out,
    checkpoint: str,
    clips: tuple[str, ...] = (),
    fresh: Flag = False,
) -> None:
    """Draw where a network for weak labels looks in clips, and what it rebuilds of them.

    Two pictures a clip: attention over time and over frequency, their product, the prediction and
    the truth; input and reconstruction. All are in OUT/figures.html too.

    Args:
        dataset: Folder of the dataset.
        out: Folder of the figures.
        checkpoint: The network, as `pmam train-weak` wrote it (.../detector.safetensors).
        clips: Ids of the clips to draw.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    if not clips:
        raise PipelineError("no clips: name those to draw, --clips ID ID ...")
    reads = checked((DATASET, dataset), (CHECKPOINT, checkpoint))
    with joined(None, reads=reads, writes=(out,)):
        from pipelines.stages.weak_labels.figures import FigureSettings
        from pipelines.stages.weak_labels.figures import weak_figures as stage

        url = stage(dataset, out, FigureSettings(clips=clips), checkpoint=checkpoint, fresh=fresh)
    print_result(url)
