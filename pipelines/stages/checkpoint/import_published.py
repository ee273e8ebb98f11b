"""import: prototypes and pseudo labels that others published, as artifacts of ours."""

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from cluster.storage.urls import absolute
from pipelines.inference.frame_job import FRAMES, clips_of
from pipelines.inference.weights import weights_file, weights_fingerprint, weights_url
from pipelines.runtime.declared import DatasetUrl, FolderUrl, NoSettings, Work, stage_function
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import join, store, write_prototypes
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.stages.checkpoint.archive import unpack
from pipelines.stages.settings import ImportSettings
from pmam.models.importers.prototypes import read_prototypes
from pmam.models.importers.pseudo_labels import parse_pseudo_labels
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter
from shards.index import Listed
from shards.sources._matching import Files

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

log = logging.getLogger("pmam")
SUFFIX, MEANS = ".tsv", "gmm_means.pt"
# Of the second iteration, by the authors; the preset `paper` goes on from them.
PUBLISHED_LABELS = "https://huggingface.co/CPF2/PMAM/resolve/main/meta.gz"
PUBLISHED_MIXTURE = "https://huggingface.co/CPF2/PMAM/resolve/main/tokenizer.gz"
# Where archives are unpacked until their tables are read, on a place that all workers share.
UNPACKED = "unpacked"
SAME_HOP = 0.01  # as a share


@stage_function(ALGORITHM_VERSION)
def import_prototypes(
    file: str, out: str, *, name: str = "import-prototypes", fresh: bool = False
) -> Work:
    """Means of a Gaussian mixture, as PMAM publishes them, as prototypes; returns their URL.

    They serve pretraining. Without covariances they label nothing: their posteriors are
    published too.

    Args:
        file: path or URL of a tensor of means `(K, D)`, such as `gmm_means.pt`.
        out: the folder of the prototypes.
        name: of the stage.
        fresh: start over.

    Raises:
        CheckpointError, FetchError: no such file, or it holds something else.
    """
    file = weights_url(file)

    def work(stage: Stage) -> dict[str, Any]:
        prototypes = read_prototypes(weights_file(file))
        write_prototypes(stage.store, prototypes)
        return {"k": len(prototypes.means), "width": prototypes.width}

    means = {"means": weights_fingerprint(file)}
    return Work(do=work, settings=NoSettings(), inputs=means, summary=_means)


@stage_function(ALGORITHM_VERSION)
def import_posteriors(
    tables: FolderUrl,
    dataset: DatasetUrl,
    out: str,
    settings: ImportSettings,
    *,
    name: str = "import-posteriors",
    fresh: bool = False,
) -> Work:
    """Pseudo labels, as PMAM publishes them, as posteriors of a dataset's clips; their URL.

    Args:
        tables: a folder with one table per clip: onset, offset, 0, 1, ... K - 1. It is named as
            the clip's recording, perhaps in a folder named as its subset.
        dataset: the dataset.
        out: the folder of the posteriors.
        settings: which clips.
        name: of the stage.
        fresh: start over.

    Raises:
        PipelineError: no table of any clip, two that may be meant, or a table that is none.
    """

    def work(stage: Stage) -> dict[str, Any]:
        return _posteriors(stage, tables, dataset, settings)

    return Work(do=work, settings=settings, summary=_summary)


@stage_function(ALGORITHM_VERSION)
def import_published(
    dataset: DatasetUrl,
    out: str,
    settings: ImportSettings,
    *,
    labels: str = PUBLISHED_LABELS,
    mixture: str = PUBLISHED_MIXTURE,
    name: str = "import-published",
    fresh: bool = False,
) -> Work:
    """The published pseudo labels and mixture of PMAM's second iteration; the URL of both.

    Args:
        dataset: the dataset that the labels are of: DESED, for the published ones.
        out: the folder that gets prototypes and posteriors.
        settings: which clips.
        labels: archive of tables as of `import_posteriors`: a URL, perhaps with `#sha256=`, or a
            path.
        mixture: archive that holds `gmm_means.pt`.
        name: of the stage.
        fresh: start over.

    Raises:
        FetchError: no such file, another sha256, or no answer.
        PipelineError: as `unpack` and `import_posteriors`, or prototypes of another number.
    """
    archives = {"labels": absolute(labels), "mixture": absolute(mixture)}

    def work(stage: Stage) -> dict[str, Any]:
        unpacked = stage.store.child(UNPACKED)
        try:
            names = unpack(weights_file(archives["mixture"]), unpacked.child("mixture"), (MEANS,))
            if len(names) > 1:
                raise PipelineError(f"{mixture}: holds {', '.join(names)}; expected one of them")
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / MEANS
                file.write_bytes(unpacked.child("mixture").read(names[0]))
                prototypes = read_prototypes(file)
            unpack(weights_file(archives["labels"]), unpacked.child("labels"), (SUFFIX,))
            tables = join(stage.url, f"{UNPACKED}/labels")
            found = _posteriors(stage, tables, dataset, settings)
            if found["k"] != len(prototypes.means):
                raise PipelineError(
                    f"{labels}: posteriors of {found['k']} prototypes; expected those of the "
                    f"{len(prototypes.means)} in {mixture}"
                )
            write_prototypes(stage.store, prototypes)
        finally:
            unpacked.clear()
        return found | {"width": prototypes.width}

    prints = {kind: weights_fingerprint(place) for kind, place in archives.items()}
    return Work(do=work, settings=settings, inputs=prints, summary=_summary)


def _posteriors(
    stage: Stage, tables: str, dataset: str, settings: ImportSettings
) -> dict[str, Any]:
    """Write the posteriors of a folder of tables; returns what to record."""
    rows = clips_of(dataset, settings.subsets)
    table_of = _tables_of(rows, store(tables).names(), tables)
    first = next(iter(table_of.values()))
    labels = parse_pseudo_labels(store(tables).read(first).decode(), join_name(tables, first))
    by_shard: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.key in table_of:
            by_shard.setdefault(PurePosixPath(row.shard).stem, {})[row.key] = table_of[row.key]
    tasks = {
        name: {"output": f"{FRAMES}/{name}.arrow", "tables": by_shard[name]}
        for name in sorted(by_shard)
    }
    results = run_shards(
        stage,
        tasks,
        TableWorker,
        {
            "tables": tables,
            "out": stage.url,
            "width": labels.posteriors.shape[1],
            "hop_s": round(labels.hop_s, 6),
        },
        weights={name: len(task["tables"]) for name, task in tasks.items()},
    )
    missing = Counter(row.subset for row in rows if row.key not in table_of)
    for subset, count in missing.items():
        log.warning(
            "%-14s %d of %d %s clips have no table: pretraining leaves them out",
            *(stage.name, count, sum(r.subset == subset for r in rows), subset),
        )
    return {
        "k": labels.posteriors.shape[1],
        "clips": len(table_of),
        "frames": sum(result["frames"] for result in results),
        "without": dict(missing),
        "outputs": [name for result in results for name in result["outputs"]],
    }


def join_name(folder: str, name: str) -> str:
    """What errors call a table."""
    return f"{folder}/{name}"


def _tables_of(rows: Sequence[Listed], names: Sequence[str], folder: str) -> dict[str, str]:
    """The table of each clip that has one, by the clip's key."""
    clips = Files([row.source_id for row in rows], "")
    tables: dict[str, str] = {}
    for name in names:
        if not name.endswith(SUFFIX):
            continue
        parts = PurePosixPath(name.removesuffix(SUFFIX)).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        found = next((clip for end in ends if (clip := clips.find(end)) is not None), None)
        if found is None:
            continue
        if found in tables:
            raise PipelineError(
                f"{join_name(folder, name)}: a second table of the clip {found}, after "
                f"{tables[found]}; remove one"
            )
        tables[found] = name
    if not tables:
        raise PipelineError(
            f"{folder}: no table of any clip of the dataset; expected files such as "
            f"{rows[0].source_id}{SUFFIX}"
        )
    return {row.key: tables[row.source_id] for row in rows if row.source_id in tables}


class TableWorker:
    """Writes the posteriors of one audio shard's clips to one file.

    Args:
        tables: URL of the folder of tables.
        out: URL of the folder that gets `frames/`.
        width: number of prototypes that all tables must have.
        hop_s: time from frame to frame, of all tables.
    """

    def __init__(self, tables: str, out: str, width: int, hop_s: float) -> None:
        self.tables, self.url, self.out = store(tables), tables, store(out)
        self.spec = FrameSpec(kind="posteriors", width=width, dtype="sparse8", hop_s=hop_s)

    def __call__(self, task: ShardTask) -> ShardResult:
        """`{"output": name, "tables": {key: name}}` to what was written."""
        tables: Mapping[str, str] = task["tables"]
        frames = 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.arrow"
            with FrameWriter(path, self.spec) as writer:
                for key, name in tables.items():
                    shown = join_name(self.url, name)
                    labels = parse_pseudo_labels(self.tables.read(name).decode(), shown)
                    width, hop_s = labels.posteriors.shape[1], labels.hop_s
                    if width != self.spec.width or abs(hop_s / self.spec.hop_s - 1) > SAME_HOP:
                        raise PipelineError(
                            f"{shown}: {width} prototypes every {hop_s:g} s; expected "
                            f"{self.spec.width} every {self.spec.hop_s:g} s, as in the first table"
                        )
                    writer.add(key, labels.posteriors)
                    frames += len(labels.posteriors)
            name = self.out.publish(task["output"], path)
        return {"outputs": [name], "frames": frames}


def _means(result: Mapping[str, Any]) -> str:
    return f"imported {counted(result['k'], 'prototype')} of {result['width']} dimensions"


def _summary(result: Mapping[str, Any]) -> str:
    return f"imported posteriors of {counted(result['clips'], 'clip')}"
