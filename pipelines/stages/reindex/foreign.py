"""reindex foreign: an index over WebDataset tars of anybody's, where they are."""

import gzip
import tempfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from cluster.storage.filesystems import absolute
from cluster.storage.http import remote_file
from pipelines.runtime.declared import Work, stage_function
from pipelines.runtime.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.runtime.stage import Stage
from pipelines.runtime.urls import store
from pipelines.stages.reindex.derived import Recorded, in_words, write_derived
from pipelines.stages.settings import ForeignDataset, NewDataset
from shards.brace_patterns import expand_braces
from shards.editing.foreign import ForeignSettings, index_shard
from shards.editing.foreign_labels import ForeignError
from shards.editing.relabel import class_list
from shards.locations import relative_url, shard_names
from shards.packing.tar_scan import GZIP_MAGIC
from shards.packing.writer import WrittenShard

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
COPY_BYTES = 1 << 20


class _Indexer:
    """Indexes one foreign tar, in one pass over its bytes."""

    def __init__(self, out: str, rule: ForeignSettings, unpack: bool) -> None:
        self.out, self.rule, self.unpack = store(out), rule, unpack

    def __call__(self, task: ShardTask) -> ShardResult:
        url, name = task["url"], task["name"]
        parent, _, base = url.rpartition("/")
        folder = store(parent or "/")
        with folder.open(base) as file:
            packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            if not packed:
                found = index_shard(cast(BinaryIO, file), url, name, self.rule)
                return {"outputs": [], "written": found.to_json(), "url": url}
            if not self.unpack:
                raise ForeignError(
                    f"{url}: compressed with gzip, which has no byte ranges; give --unpack to "
                    "write plain copies into the new dataset"
                )
            return self._unpacked(cast(BinaryIO, file), url, name)

    def _unpacked(self, file: BinaryIO, url: str, name: str) -> ShardResult:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "shard.tar"
            try:
                with gzip.open(file) as packed, path.open("wb") as plain:
                    while block := packed.read(COPY_BYTES):
                        plain.write(block)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ForeignError(f"{url}: damaged gzip ({error}); copy it again") from error
            with path.open("rb") as unpacked:
                found = index_shard(unpacked, url, name, self.rule)
            stored = self.out.publish(name, path)
        written = found.stored_as(stored).to_json()
        return {"outputs": [stored], "written": written, "url": None}


@stage_function(ALGORITHM_VERSION)
def reindex_foreign(
    shards: Sequence[str],
    out: str,
    rule: ForeignSettings,
    settings: ForeignDataset,
    *,
    name: str = "reindex-foreign",
    fresh: bool = False,
) -> Work:
    """Index WebDataset tars of anybody's; returns the URL of the new dataset.

    Args:
        shards: tars, folders of tars, or lists with braces, local or at URLs.
        out: the folder of the new dataset.
        rule: how members become clips.
        settings: name, licence, copies.
        name: of the stage.
        fresh: start over.

    Raises:
        ForeignError: no tar is there, or one cannot be indexed.
        NoRangesError: a tar lies on a server of http(s) without byte ranges.
    """
    urls = shard_list(shards)

    def work(stage: Stage) -> dict[str, Any]:
        names = shard_names(urls)
        tasks = {
            PurePosixPath(name).stem: {"url": url, "name": name}
            for url, name in zip(urls, names, strict=True)
        }
        results = run_shards(
            stage,
            tasks,
            _Indexer,
            {"out": out, "rule": rule, "unpack": settings.unpack},
            weights=dict.fromkeys(tasks, 1),
            unit="shards",
        )
        found = [(WrittenShard.from_json(result["written"]), result["url"]) for result in results]
        rows = [row for shard, _ in found for row in shard.rows]
        skipped = [entry for shard, _ in found for entry in shard.skipped]
        if not rows:
            why = f", such as {skipped[0].source_id}: {skipped[0].reason}" if skipped else ""
            raise ForeignError(f"{urls[0]}: no clip in {len(urls)} shards{why}")
        # A plain copy in the dataset keeps its foreign members: it is named by URL too.
        entries = [
            replace(shard.entry, url=_address(url, out, settings) if url else shard.name)
            for shard, url in found
        ]
        result = write_derived(
            stage,
            rows,
            entries,
            name=settings.name or "dataset",
            licence=settings.licence,
            classes=class_list(rows, rule.classes, None),
        )
        return {**result, "skipped": [list(entry) for entry in skipped]}

    inputs = {url: _size_and_time(url) for url in urls}
    return Work(
        do=work, settings=Recorded(rule=rule, dataset=settings), inputs=inputs, summary=in_words
    )


def shard_list(shards: Sequence[str]) -> list[str]:
    """Absolute URLs of all tars that some words name."""
    urls: list[str] = []
    for word in shards:
        for url in map(absolute, expand_braces(word)):
            if url.endswith(TAR_SUFFIXES):
                urls.append(url)
            else:
                below = [n for n in store(url).names() if n.endswith(TAR_SUFFIXES)]
                if not below:
                    raise ForeignError(f"{url}: no tars there; expected .tar, .tar.gz or .tgz")
                urls += [f"{url}/{name}" for name in below]
    if doubled := [url for url, count in Counter(urls).items() if count > 1]:
        raise ForeignError(f"{doubled[0]}: given twice; expected each shard once")
    return urls


def _address(url: str, out: str, settings: NewDataset) -> str:
    return relative_url(url, out) if settings.relative else url


def _size_and_time(url: str) -> str:
    parent, _, name = url.rpartition("/")
    folder = store(parent or "/")
    if url.startswith(("http://", "https://")):
        found = folder.attempt(url, lambda: remote_file(url))
        return f"{found.size} {found.version}"
    if folder.size(name) is None:
        raise ForeignError(f"{url}: no such file; check the path")
    info = folder.filesystem.get_file_info(folder.path(name))
    return f"{info.size} {info.mtime_ns}"
