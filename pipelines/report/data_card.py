"""What a run learned from and was tested on: hours, subsets, classes, and what is doubtful."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.report.contents import RunContents
from pipelines.runtime.files.urls import join, open_dataset, store
from pipelines.runtime.words import counted, hours
from pmam.encoders.registry import build_encoder
from shards.dataset import Dataset
from shards.label_columns import Coded
from shards.quality.finding import Needs
from shards.quality.label_checks import event_findings, label_findings
from shards.quality.label_statistics import count_labels
from shards.quality.report import subset_counts

INSPECTED = "inspect.json"  # as `pmam inspect` writes it


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """The dataset of a run.

    Args:
        name, licence: of the manifest.
        classes: all of them.
        subsets: rows of subset, clips, length, clips with events, with weak labels, and events.
        labels: rows of class, and events or clips of each subset.
        label_head: of these rows.
        findings: severity, what, count and advice.
        inspected: whether the clips' audio was measured, too.
        hours: of sound.
        clips: how many.
    """

    name: str
    licence: str
    classes: tuple[str, ...]
    subsets: list[tuple[str, ...]]
    labels: list[tuple[str, ...]]
    label_head: tuple[str, ...]
    findings: list[Mapping[str, Any]]
    inspected: bool
    hours: float
    clips: int

    @property
    def in_words(self) -> str:
        """Its size in one line."""
        size = f"{counted(self.clips, 'clip')}, {hours(self.hours)}"
        return f"{size}, {counted(len(self.classes), 'class', 'classes')}"


def data_card(run: RunContents) -> DataCard | None:
    """The data card of a run; None where nothing was packed yet."""
    if run.dataset is None:
        return None
    dataset = open_dataset(run.dataset)
    manifest, rows = dataset.manifest, dataset.rows
    of_subset = {one.subset: one for one in subset_counts(rows)}
    names = Coded.of(dataset.table["subset"]).names
    subsets: list[tuple[str, ...]] = [
        (
            name,
            str(one.clips),
            hours(one.hours),
            str(one.strong),
            str(one.weak),
            str(one.events),
        )
        for name in names
        for one in [of_subset[name]]
    ]
    counts = {(one.label, one.subset): one for one in count_labels(rows)}
    shown = [name for name in names if any(subset == name for _, subset in counts)]
    labels = [
        (label, *(_count(counts.get((label, subset))) for subset in shown))
        for label in manifest.classes or ()
    ]
    inspected = _inspected(run)
    return DataCard(
        name=manifest.name,
        licence=manifest.licence,
        classes=tuple(manifest.classes or ()),
        subsets=subsets,
        labels=labels,
        label_head=("class", *shown),
        findings=_of_labels(run, dataset) if inspected is None else inspected,
        inspected=inspected is not None,
        hours=sum(one.hours for one in of_subset.values()),
        clips=len(rows),
    )


def _count(found: Any) -> str:
    if found is None:
        return "0"
    if found.events:
        return counted(found.events, "event")
    return counted(max(found.weak_clips, found.strong_clips), "clip")


def _inspected(run: RunContents) -> list[Mapping[str, Any]] | None:
    """Findings of `pmam inspect`, where it has written them beside the dataset."""
    folder = store(f"{run.dataset}-inspect")
    if folder.size(INSPECTED) is None:
        return None
    return list(json.loads(folder.read(INSPECTED))["findings"])


def _of_labels(run: RunContents, dataset: Dataset) -> list[Mapping[str, Any]]:
    """What the index alone tells."""
    built = build_encoder(run.settings.encoder)
    needs = Needs(
        encoder=run.settings.encoder.name, sample_rate_hz=built.sample_rate_hz, hop_s=built.hop_s
    )
    rows = dataset.rows
    found = [*event_findings(rows, needs), *label_findings(rows, dataset.manifest.classes)]
    return [vars(finding) for finding in found]


def inspect_command(run: RunContents) -> str:
    """What measures the audio of the run's dataset."""
    return f"pmam inspect {run.dataset or join(run.url, 'dataset')}"
