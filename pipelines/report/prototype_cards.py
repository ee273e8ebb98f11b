"""The prototypes of a run with what they mean: sounds, and the labels of their frames."""

from dataclasses import dataclass
from typing import Any

from pipelines.report.contents import RunContents
from pipelines.runtime.files.urls import open_dataset, read_prototypes
from pipelines.stages.prototypes.excerpts import excerpts
from pipelines.stages.prototypes.labels import rows_of
from pipelines.stages.prototypes.page import shown_prototype
from pipelines.stages.prototypes.report import described, level_of
from pipelines.stages.prototypes.settings import SegmentSettings
from pipelines.stages.prototypes.survey import survey_clips
from pmam.prototypes.usage import Segment
from shards.dataset import Dataset

CLIPS = 400  # that are looked through: those with labels first
PROTOTYPES, SOUNDS = 12, 2


@dataclass(frozen=True, kw_only=True)
class PrototypeCards:
    """The prototypes that are used most, of the last iteration that has posteriors."""

    iteration: int
    found: dict[str, Any]  # as `prototypes.json`
    prototypes: list[dict[str, Any]]
    clips: int  # that were looked through
    of_clips: int  # that have posteriors
    left_out: int  # sounds without room


def prototype_cards(run: RunContents, max_bytes: int) -> PrototypeCards | None:
    """What the prototypes mean; None where there are none with posteriors."""
    if not run.iterations or run.dataset is None:
        return None
    iteration = run.iterations[-1]
    fit, label = run.place(f"fit-{iteration}"), run.place(f"label-{iteration}")
    dataset = open_dataset(run.dataset)
    settings = SegmentSettings(segments=SOUNDS * 2)
    prototypes = read_prototypes(fit)
    surveyed, all_clips = survey_clips(
        label, dataset, prototypes, settings, order=_chosen(dataset), most=CLIPS
    )
    keys = {segment.key for segments in surveyed.top.best() for segment in segments}
    rows = {row.key: row for row in rows_of(dataset, keys)}
    found = described(surveyed, prototypes, rows)
    most = found["of_prototypes"][:PROTOTYPES]
    names = Segment.__dataclass_fields__
    top = [[Segment(**{n: s[n] for n in names}) for s in of["segments"]] for of in most]
    cut = excerpts(dataset, top, SOUNDS, max_bytes)
    return PrototypeCards(
        iteration=iteration,
        found=found,
        prototypes=[
            shown_prototype(of, level_of(found), place, cut) for place, of in enumerate(most)
        ],
        clips=surveyed.clips,
        of_clips=all_clips,
        left_out=cut.left_out,
    )


def _chosen(dataset: Dataset) -> list[str]:
    """Clips with events first, then with tags, then the others."""
    rows = sorted(dataset.rows, key=lambda row: (row.events is None, row.weak is None, row.key))
    return [row.key for row in rows]
