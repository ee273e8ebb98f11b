"""The command reindex, with its four kinds."""

from collections.abc import Callable
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from cluster.outputs import check_job_outputs
from pipelines.cli.kinds import command_of_kinds
from pipelines.cli.types import Dataset, Flag, Flat, Out
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import DATASET, FILE, checked
from pipelines.runtime.tables import print_dataset
from pipelines.runtime.workers.reach import joined
from pipelines.stages.reindex.settings import ForeignDataset, NewDataset
from shards.editing.foreign_rules import ForeignSettings
from shards.editing.settings import RelabelSettings

Words = Positional[tuple[str, ...]]  # the last one is OUT, as in cp


def foreign(
    paths: Annotated[Words, tyro.conf.arg(metavar="SHARD... OUT")],
    rule: Annotated[ForeignSettings, Flat] = ForeignSettings(),
    settings: Annotated[ForeignDataset, Flat] = ForeignDataset(),
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Index WebDataset tars of anybody's where they are: no byte of them is moved.

    SHARD is a tar, a folder of tars, or a list such as s3://bucket/train-{000..120}.tar. Labels
    come from the members beside the audio: JSON with events (onset, offset, label), labels,
    label, tags, subset; else cls, the number of a class. A text goes to meta.text.

    Args:
        paths: Tars, folders or lists, and last the folder of the new dataset.
        rule: How members become clips.
        settings: Name, licence, copies.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    if len(paths) < 2:
        raise PipelineError("expected shards and the folder of the new dataset: SHARD... OUT")
    from pipelines.stages.reindex.foreign import reindex_foreign, shard_list

    *shards, out = paths
    with joined(address, reads=shard_list(shards), writes=(out,)):
        print_dataset(reindex_foreign(shards, out, rule, settings, fresh=fresh))


def labels(
    dataset: Dataset,
    out: Out,
    table: tuple[str, ...] = (),
    mapping: str | None = None,
    subsets: str | None = None,
    rule: Annotated[RelabelSettings, Flat] = RelabelSettings(),
    settings: Annotated[NewDataset, Flat] = NewDataset(),
    fresh: Flag = False,
) -> None:
    """Give a dataset's audio other labels, classes or subsets, in a new dataset.

    Tables are TSV, CSV or JSONL; the column filename is a clip's id, with or without folders
    and suffix.

    Args:
        dataset: Folder of the dataset, which stays as it is.
        out: Folder of the new dataset.
        table: Labels: filename, onset, offset, event_label, or filename, event_labels.
        mapping: From old to new labels: old, new. Several rows of one old label give several.
        subsets: filename, subset and, if wanted, fold.
        rule: What becomes of clips and labels that the tables do not list.
        settings: Name, and whether shards are named relative to the new dataset.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    check_job_outputs((out,))
    checked((DATASET, dataset), *((FILE, url) for url in (*table, mapping, subsets)))
    from pipelines.stages.reindex.edit import reindex_labels

    url = reindex_labels(
        dataset, out, rule, settings, tables=table, mapping=mapping, subsets=subsets, fresh=fresh
    )
    print_dataset(url)


def merge(
    paths: Annotated[Words, tyro.conf.arg(metavar="DATASET... OUT")],
    prefixes: tuple[str, ...] = (),
    licence: str | None = None,
    settings: Annotated[NewDataset, Flat] = NewDataset(),
    fresh: Flag = False,
) -> None:
    """Make one dataset of several; no byte of audio is moved.

    Args:
        paths: Folders of the datasets, and last that of the new one.
        prefixes: One per dataset, before its clips' ids: needed where two share an id.
        licence: Licence of all recordings; by default the licences of all.
        settings: Name, and whether shards are named relative to the new dataset.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    if len(paths) < 3:
        raise PipelineError("expected two datasets and the folder of the new one: DATASET... OUT")
    *datasets, out = paths
    check_job_outputs((out,))
    checked(*((DATASET, url) for url in datasets))
    from pipelines.stages.reindex.edit import reindex_merge

    url = reindex_merge(datasets, out, settings, prefixes=prefixes, licence=licence, fresh=fresh)
    print_dataset(url)


def filter_(
    dataset: Dataset,
    out: Out,
    where: str | None = None,
    list: str | None = None,
    settings: Annotated[NewDataset, Flat] = NewDataset(),
    fresh: Flag = False,
) -> None:
    """Take some clips of a dataset, in a new dataset; no byte of audio is moved.

    An expression such as 'subset == "weak" and duration_s > 5 and "Dog" in weak' names the
    columns of the index (key, source_id, subset, recording, fold, codec, sample_rate_hz,
    channels, num_samples, weak, events, checksum ...), duration_s, labels (all of a clip) and
    metadata (meta.snr_db < 3). It knows and, or, not, in, comparisons, + - * / of numbers, and
    len, lower, startswith, endswith. What a clip lacks is None.

    Args:
        dataset: Folder of the dataset, which stays as it is.
        out: Folder of the new dataset.
        where: The expression.
        list: File with one clip id a line, or a table with the column filename.
        settings: Name, and whether shards are named relative to the new dataset.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    check_job_outputs((out,))
    checked((DATASET, dataset), (FILE, list))
    from pipelines.stages.reindex.edit import reindex_filter

    print_dataset(reindex_filter(dataset, out, settings, where=where, listed=list, fresh=fresh))


KINDS: dict[str, Callable[..., Any]] = {
    "foreign": foreign,
    "labels": labels,
    "merge": merge,
    "filter": filter_,
}


reindex = command_of_kinds(
    "pmam reindex",
    "Make a dataset over audio that stays where it is.",
    KINDS,
)
