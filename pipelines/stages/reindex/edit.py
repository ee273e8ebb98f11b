"""reindex: new labels, selections and unions of datasets, and no byte of audio moves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.storage.urls import absolute
from pipelines.runtime.declared import Work, stage_function
from pipelines.runtime.files.urls import dataset_fingerprint, file_fingerprint, open_dataset, store
from pipelines.runtime.stage import Stage
from pipelines.stages.reindex.derived import Recorded, in_words, write_derived
from pipelines.stages.reindex.settings import NewDataset
from shards.columns import Columns
from shards.editing.filter import compile_filter
from shards.editing.merge import MergeInput, merge
from shards.editing.relabel import (
    RelabelError,
    by_clip,
    class_list,
    with_labels,
    with_mapping,
    with_subsets,
)
from shards.editing.settings import RelabelSettings
from shards.errors import Faults
from shards.locations import refer
from shards.manifest import Manifest
from shards.rows import Rows
from shards.sources._tables import TABLE_SUFFIXES, Row, SourceError, read_table, read_text
from shards.tables.clip_labels import empty_cells

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class _FilterRule:
    where: str | None = None


@dataclass(frozen=True, kw_only=True)
class _MergeRule:
    prefixes: tuple[str, ...] = ()
    licence: str | None = None


# From the old rows to the new ones; what else to record goes to the second argument.
Change = Callable[[Rows, dict[str, Any]], Rows]
Classes = Callable[[Rows, Manifest], tuple[str, ...] | None]


@stage_function(ALGORITHM_VERSION)
def reindex_labels(
    dataset: str,
    out: str,
    rule: RelabelSettings,
    settings: NewDataset,
    *,
    tables: Sequence[str] = (),
    mapping: str | None = None,
    subsets: str | None = None,
    name: str = "reindex-labels",
    fresh: bool = False,
) -> Work:
    """New labels, classes or subsets over the same audio; returns the URL of the new dataset.

    Args:
        dataset: the old dataset, which stays as it is.
        out: the folder of the new one.
        rule: what becomes of clips and labels that the tables do not list.
        settings: name and form of the shards' URLs.
        tables: label tables (filename, onset, offset, event_label or filename, event_labels).
        mapping: a table `old, new` of labels.
        subsets: a table `filename, subset` and, if wanted, `fold`.
        name: of the stage.
        fresh: start over.

    Raises:
        RelabelError: labels do not fit the dataset.
    """
    if not tables and not mapping and not subsets and not rule.classes:
        raise RelabelError("nothing to change: give --table, --mapping, --subsets or --classes")

    def change(rows: Rows, notes: dict[str, Any]) -> Rows:
        if tables:
            table, faults = list[Row](), Faults(SourceError)
            notes["notes"] = []
            for url in tables:
                with faults.noted():
                    found = _table(url, ("filename",))
                    table += found
                    if (note := empty_cells(found, _path(url))) is not None:
                        notes["notes"].append(f"{url}: {note}")
            faults.check()
            listed, notes["not_in_dataset"] = by_clip(rows, table)
            notes["labelled"] = len(listed)
            rows = with_labels(rows, listed, rule)
        if mapping:
            rows = with_mapping(rows, _table(mapping, ("old", "new")), rule)
        if subsets:
            listed, _ = by_clip(rows, _table(subsets, ("filename",)))
            rows = with_subsets(rows, listed)
        return rows

    def classes(rows: Rows, manifest: Manifest) -> tuple[str, ...] | None:
        return class_list(rows, rule.classes, None if tables or mapping else manifest.classes)

    files = {
        f"{kind} {number}": file_fingerprint(url)
        for kind, urls in (("table", tables), ("mapping", [mapping]), ("subsets", [subsets]))
        for number, url in enumerate(urls)
        if url
    }
    return _derive(dataset, out, rule, settings, change, classes, files)


@stage_function(ALGORITHM_VERSION)
def reindex_filter(
    dataset: str,
    out: str,
    settings: NewDataset,
    *,
    where: str | None = None,
    listed: str | None = None,
    name: str = "reindex-filter",
    fresh: bool = False,
) -> Work:
    """Some of a dataset's clips; returns the URL of the new dataset.

    Args:
        dataset: the old dataset, which stays as it is.
        out: the folder of the new one.
        settings: name and form of the shards' URLs.
        where: an expression, see `shards.editing.filter`.
        listed: a table with the column `filename`, or a text file with one clip id a line.
        name: of the stage.
        fresh: start over.

    Raises:
        FilterError: the expression is not understood.
        RelabelError: no clip is left, or none is listed.
    """
    if (where is None) == (listed is None):
        raise RelabelError("give either --where EXPRESSION or --list FILE")
    test = compile_filter(where) if where is not None else None

    def change(rows: Rows, notes: dict[str, Any]) -> Rows:
        if test is not None:
            mask = test.mask(rows)
        else:
            found, notes["not_in_dataset"] = by_clip(rows, _id_rows(str(listed)))
            mask = Columns(rows.table).of_sources(found)
        if not mask.any():
            raise RelabelError(f"filter {where!r}: no clip of {len(rows)} is left; loosen it")
        rows.keep(mask)
        return rows

    def classes(rows: Rows, manifest: Manifest) -> tuple[str, ...] | None:
        return manifest.classes

    files = {"list": file_fingerprint(listed)} if listed else {}
    rule = _FilterRule(where=where)
    return _derive(dataset, out, rule, settings, change, classes, files)


@stage_function(ALGORITHM_VERSION)
def reindex_merge(
    datasets: Sequence[str],
    out: str,
    settings: NewDataset,
    *,
    prefixes: Sequence[str] = (),
    licence: str | None = None,
    name: str = "reindex-merge",
    fresh: bool = False,
) -> Work:
    """Several datasets as one; returns its URL.

    Args:
        datasets: what to merge; they stay as they are.
        out: the folder of the new dataset.
        settings: name and form of the shards' URLs.
        prefixes: one per dataset, which go before its clips' ids and recordings.
        licence: of all recordings; by default the licences of all datasets.
        name: of the stage.
        fresh: start over.

    Raises:
        DatasetError: a clip's id is in two of them.
    """
    urls = [absolute(url) for url in datasets]
    if len(urls) < 2 or len(prefixes) not in (0, len(urls)):
        raise RelabelError(
            f"got {len(urls)} datasets and {len(prefixes)} prefixes; expected two datasets or "
            "more, and no prefix or one for each"
        )

    def work(stage: Stage) -> dict[str, Any]:
        opened = [open_dataset(url) for url in urls]
        parts = [
            MergeInput(
                name=url,
                rows=dataset.rows,
                shards=refer(dataset.manifest.shards, url, out, relative=settings.relative),
                classes=dataset.manifest.classes,
                prefix=prefixes[number] if prefixes else "",
            )
            for number, (url, dataset) in enumerate(zip(urls, opened, strict=True))
        ]
        merged = merge(parts)
        names = dict.fromkeys(dataset.manifest.name for dataset in opened)
        licences = dict.fromkeys(dataset.manifest.licence for dataset in opened)
        result = write_derived(
            stage,
            merged.rows,
            merged.shards,
            name=settings.name or "+".join(names),
            licence=licence or ", ".join(licences),
            classes=merged.classes,
        )
        same = f"{merged.same_audio} clips have the same audio as another one"
        own = [same] if merged.same_audio else []
        return {**result, "notes": [*own, *result["notes"]]}

    rule = _MergeRule(prefixes=tuple(prefixes), licence=licence)
    inputs = {f"dataset {n} {url}": dataset_fingerprint(url) for n, url in enumerate(urls)}
    return Work(
        do=work, settings=Recorded(rule=rule, dataset=settings), inputs=inputs, summary=in_words
    )


def _derive(
    dataset_url: str,
    out: str,
    rule: Any,
    settings: NewDataset,
    change: Change,
    classes: Classes,
    files: Mapping[str, str],
) -> Work:
    dataset_url = absolute(dataset_url)

    def work(stage: Stage) -> dict[str, Any]:
        dataset = open_dataset(dataset_url)
        manifest = dataset.manifest
        notes: dict[str, Any] = {}
        rows, before = dataset.rows, len(dataset.rows)
        del dataset  # so that a change can give back what it replaces
        rows = change(rows, notes)
        result = write_derived(
            stage,
            rows,
            refer(manifest.shards, dataset_url, out, relative=settings.relative),
            name=settings.name or manifest.name,
            licence=manifest.licence,
            classes=classes(rows, manifest),
        )
        own = [f"{len(rows)} of {before} clips"] if len(rows) < before else []
        own += notes.pop("notes", [])
        return {**result, **notes, "notes": [*own, *result["notes"]]}

    inputs = {f"dataset {dataset_url}": dataset_fingerprint(dataset_url), **files}
    return Work(
        do=work, settings=Recorded(rule=rule, dataset=settings), inputs=inputs, summary=in_words
    )


def _path(url: str) -> str:
    """What errors and rows call a table."""
    parent, _, name = absolute(url).rpartition("/")
    return store(parent or "/").path(name)


def _table(url: str, columns: Sequence[str]) -> list[Row]:
    parent, _, name = absolute(url).rpartition("/")
    return read_table(store(parent or "/"), name, columns)


def _id_rows(url: str) -> list[Row]:
    """A list of clips as rows with `filename`."""
    parent, _, name = absolute(url).rpartition("/")
    if name.endswith(TABLE_SUFFIXES):
        return _table(url, ("filename",))
    lines = read_text(store(parent or "/"), name).splitlines()
    return [Row({"filename": line.strip()}) for line in lines if line.strip()]
