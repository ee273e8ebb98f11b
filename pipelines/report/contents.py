"""What the folder of a run holds: the stages that are done, and those that are not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cluster.storage.urls import absolute
from pipelines.presets.settings import RunSettings
from pipelines.run import stage_folders
from pipelines.runtime.errors import MissingFileError, PipelineError
from pipelines.runtime.files.urls import join, store
from pipelines.runtime.stage import DONE, PLAN, read_record
from pmam.settings import SettingsError, from_json
from shards.manifest import MANIFEST

CONFIG = "run.json"
PMAM, ALONE, WORDS = "PMAM", "labels alone", "words"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A detector of a run, by the stages that made and scored it."""

    name: str
    finetune: str
    score: str


ARMS = (
    Arm(name=PMAM, finetune="finetune", score="score"),
    Arm(name=ALONE, finetune="finetune-supervised", score="score-supervised"),
)


def main_arm(settings: RunSettings) -> str:
    """What a run's detector is called beside that of labels alone."""
    return PMAM if settings.words is None else WORDS


@dataclass(frozen=True, kw_only=True)
class RunContents:
    """A run's folder, as far as it got.

    Args:
        url: of the folder.
        name: its last part, for people.
        preset: what it started from.
        settings: all of them.
        done: what each finished stage recorded, by the stage's name, in the order of the run.
        begun: stages that were begun and not finished.
        missing: stages that were not begun.
        folders: of all of them, in the run's folder.
        dataset: URL of the packed dataset; None where there is none yet.
    """

    url: str
    name: str
    preset: str
    settings: RunSettings
    done: Mapping[str, dict[str, Any]]
    begun: tuple[str, ...]
    missing: tuple[str, ...]
    folders: Mapping[str, str] = field(repr=False)
    dataset: str | None

    def place(self, stage: str) -> str:
        """The URL of a stage's folder."""
        return join(self.url, self.folders[stage])

    @property
    def iterations(self) -> list[int]:
        """Those that have prototypes with posteriors."""
        return [
            n
            for n in range(1, self.settings.iterations + 1)
            if {f"fit-{n}", f"label-{n}"} <= self.done.keys()
        ]

    @property
    def arms(self) -> list[Arm]:
        """The detectors that have been scored."""
        main, alone = ARMS
        named = (replace(main, name=main_arm(self.settings)), alone)
        return [arm for arm in named if arm.score in self.done]


def contents(url: str) -> RunContents:
    """Look at the folder of a run; nothing in it is changed.

    Raises:
        PipelineError: it is none, or its configuration is not one of this pmam.
    """
    url = absolute(url)
    folder = store(url)
    if folder.size(CONFIG) is None:
        raise MissingFileError(
            f"{folder.path(CONFIG)}: no such file; expected the folder of a run, "
            "as `pmam run` ends with it"
        )
    try:
        told = json.loads(folder.read(CONFIG))
        settings = from_json(RunSettings, told["settings"])
    except (ValueError, KeyError, TypeError, SettingsError) as error:
        raise PipelineError(
            f"{folder.path(CONFIG)}: not the configuration of a run of this pmam ({error})"
        ) from error
    folders = stage_folders(settings)
    done, begun, missing = {}, [], []
    for stage, name in folders.items():
        of_stage = store(join(url, name))
        record = read_record(of_stage, DONE)
        if record is not None:
            done[stage] = record
        elif read_record(of_stage, PLAN) is not None:
            begun.append(stage)
        else:
            missing.append(stage)
    dataset = settings.dataset or join(url, "dataset")
    return RunContents(
        url=url,
        name=url.rstrip("/").rpartition("/")[2],
        preset=str(told.get("preset", "run")),
        settings=settings,
        done=done,
        begun=tuple(begun),
        missing=tuple(missing),
        folders=folders,
        dataset=dataset if store(dataset).size(MANIFEST) is not None else None,
    )
