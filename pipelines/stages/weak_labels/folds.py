"""Which clips train and which are held out, and whether that can be learnt from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.words import listed
from pipelines.stages.weak_labels.settings import WeakTrainSettings
from pmam.weak_labels.registry import field_frames
from shards.dataset import Dataset
from shards.index import IndexRow


@dataclass(frozen=True, kw_only=True)
class FoldSplit:
    """The clips of a training: places in the index, and keys."""

    fold: int
    train: list[IndexRow]
    validation: list[IndexRow]
    validation_places: list[int]
    longest_s: float

    def crop_s(self, settings: WeakTrainSettings) -> float:
        """The length that every clip is padded to: the longest one's, in whole frames."""
        frames = max(1, round(self.longest_s / settings.hop_s))
        return frames * settings.hop_s


def labels_of(row: IndexRow) -> tuple[str, ...]:
    """The weak labels of a clip: given, or those of its events."""
    if row.weak is not None:
        return row.weak
    return tuple(sorted({event.label for event in row.events or ()}))


def folds_of(url: str, dataset: Dataset, settings: WeakTrainSettings) -> list[int]:
    """The folds that the chosen clips are in, sorted.

    Raises:
        PipelineError: no such clips, or fewer than two folds.
    """
    rows = [row for _, row in _chosen(url, dataset, settings)]
    folds = sorted({row.fold for row in rows if row.fold is not None})
    if len(folds) < 2:
        raise PipelineError(
            f"{url}: {len(folds)} folds among {len(rows)} clips of the subset "
            f"{settings.subset!r}; expected two or more, as `pmam soundscapes --preset mtl` makes "
            "them; or give clips folds: pmam reindex labels --subsets TABLE, with a column fold"
        )
    return folds


def split_fold(url: str, dataset: Dataset, settings: WeakTrainSettings, fold: int) -> FoldSplit:
    """The clips that train, of all folds but one, and those of that one.

    Raises:
        PipelineError: no such fold, a class that one of the sides does not have, a clip without
            labels or fold, or one shorter than the network's field.
    """
    folds = folds_of(url, dataset, settings)
    if fold not in folds:
        raise PipelineError(f"{url}: no fold {fold}; expected one of {', '.join(map(str, folds))}")
    chosen = _chosen(url, dataset, settings)
    _refuse_unlabelled(url, [row for _, row in chosen])
    _refuse_short([row for _, row in chosen], settings)
    train = [row for _, row in chosen if row.fold != fold]
    held_out = [(place, row) for place, row in chosen if row.fold == fold]
    classes = dataset.manifest.classes or ()
    for side, rows in (("train on", train), ("hold out", [row for _, row in held_out])):
        there = {label for row in rows for label in labels_of(row)}
        lacking = [name for name in classes if name not in there]
        if lacking:
            raise PipelineError(
                f"{url}: fold {fold}: the {len(rows)} clips to {side} have none of "
                f"{listed(lacking)}; expected every class on both sides: spread the clips over "
                "other folds, or leave classes out (pmam reindex labels)"
            )
    return FoldSplit(
        fold=fold,
        train=train,
        validation=[row for _, row in held_out],
        validation_places=[place for place, _ in held_out],
        longest_s=max(row.duration_s for _, row in chosen),
    )


def _chosen(url: str, dataset: Dataset, settings: WeakTrainSettings) -> list[tuple[int, IndexRow]]:
    """Places and rows of the clips that a training is about."""
    if not dataset.manifest.classes:
        raise PipelineError(f"{url}: no labels in it; pack it with label tables")
    places = np.flatnonzero(dataset.columns.of_subset(settings.subset))
    rows = dataset.rows_at(places)
    found = list(zip(places.tolist(), rows, strict=True))
    if not found:
        raise PipelineError(
            f"{url}: no clips of the subset {settings.subset!r}; give --subset another one"
        )
    if settings.snr is None:
        return found
    taken = [(place, row) for place, row in found if row.meta.get("snr_db") == settings.snr]
    if not taken:
        there = sorted({str(row.meta.get("snr_db", "none")) for row in rows})
        raise PipelineError(
            f"{url}: no clips at {settings.snr:g} dB; there are {', '.join(there)}: give another "
            "--snr, or none for all"
        )
    return taken


def _refuse_unlabelled(url: str, rows: list[IndexRow]) -> None:
    lacking = [row for row in rows if row.weak is None and row.events is None]
    homeless = [row for row in rows if row.fold is None]
    for without, what in ((lacking, "labels"), (homeless, "a fold")):
        if without:
            raise PipelineError(
                f"{url}: {len(without)} of {len(rows)} clips have not {what}, such as "
                f"{without[0].source_id}; give them some, or take another --subset"
            )


def _refuse_short(rows: list[IndexRow], settings: WeakTrainSettings) -> None:
    least_s = field_frames(settings.model) * settings.hop_s
    short = [row for row in rows if row.duration_s < least_s]
    if short:
        raise PipelineError(
            f"{short[0].source_id}: {short[0].duration_s:.2f} s, and so are {len(short)} of "
            f"{len(rows)} clips shorter than the field of {settings.model}, {least_s:.2f} s; leave "
            "them out (pmam reindex filter), or give a smaller --hop-samples"
        )


def tags_of(rows: list[IndexRow], classes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which class is in which clip, `(clips, classes)`."""
    return np.array([[name in labels_of(row) for name in classes] for row in rows], np.bool_)
