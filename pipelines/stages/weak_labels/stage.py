"""train-weak: a network from weak labels, trained on all folds but one and chosen on that one."""

from collections.abc import Mapping
from typing import Any

from pipelines.runtime.declared import DatasetUrl, Work, stage_function
from pipelines.runtime.files.urls import join, lacking_checkpoint, open_dataset
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.stages.weak_labels.folds import split_fold
from pipelines.stages.weak_labels.settings import METRIC, WeakTrainSettings
from pipelines.stages.weak_labels.task import START, WeakTask, write_start
from pipelines.training.job import run_training
from pipelines.training.recorder import WORKING

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1


@stage_function(ALGORITHM_VERSION)
def train_weak(
    dataset: DatasetUrl,
    out: str,
    settings: WeakTrainSettings,
    *,
    fold: int,
    name: str = "train_weak",
    fresh: bool = False,
) -> Work:
    """Train one fold; returns the URL of the stage, which holds `detector.safetensors`.

    Args:
        dataset: the dataset.
        out: the folder of the detector.
        settings: network, loss and training.
        fold: that is held out; the others train.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        split = split_fold(dataset, open_dataset(dataset), settings, fold)
        start = join(stage.url, START)
        if lacking_checkpoint(start) is not None:
            write_start(stage.store, dataset, settings, fold)
        arguments = {"dataset": dataset, "start": start, "settings": settings, "fold": fold}
        training = settings.training(len(split.train), split.crop_s(settings))
        return run_training(stage, WeakTask, arguments, training)

    identified = {"fold": str(fold)}
    return Work(
        do=work,
        settings=settings.identity,
        inputs=identified,
        summary=_summary,
        working=WORKING,
    )


def _summary(result: Mapping[str, Any]) -> str:
    clips = counted(result["clips"], "clip")
    value = result["validation"][METRIC]
    return (
        f"trained on {clips} but fold {result['fold']}, kept epoch {result['epoch']} of "
        f"{result['epochs']} (micro AP {value:.3f})"
    )
