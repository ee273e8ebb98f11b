"""Foreign shards that are read once from start to end: copied whole, then packed as files are.

A stream has no byte ranges, while packing reads each clip twice, to survey it and to write it. So
each shard goes to a folder of the stage first, on all workers, and is removed when the dataset is
whole. After a kill or a broken connection, shards that are there are not fetched again.
"""

import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cluster.storage.http import NoRangesError, remote_file
from cluster.storage.streams import copy_stream, expand_streams, is_stream
from cluster.storage.urls import PIPE, StorageError
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from shards.io import retry
from shards.locations import shard_names
from shards.packing.tar_scan import GZIP_MAGIC

COPIES = "copies"  # the folder in the stage's


def shard_streams(spec: str, source: str, *, allow_pipe: bool = False) -> list[str]:
    """The URLs of a list of shards that are read as streams; empty for any other place.

    Raises:
        StorageError: the source reads no streams, a command is not allowed, or the list cannot be
            understood.
    """
    if not is_stream(spec):
        return []
    if source != "webdataset":
        kind = PIPE if spec.lower().startswith(PIPE) else f"{spec.partition('://')[0]}://"
        raise StorageError(
            f"source {source}: got {kind}, which has no folders; only --source webdataset reads it"
        )
    return expand_streams(spec, allow_pipe=allow_pipe)


def streams_fingerprint(urls: Sequence[str]) -> str:
    """What identifies streams: their URLs, with size and version where a server tells them."""
    digest = hashlib.sha256()
    for url in urls:
        known = ""
        if url.startswith(("http://", "https://")):
            try:
                found = remote_file(url)
                known = f"{found.size} {found.version}"
            except (NoRangesError, OSError):  # reading it will tell what is wrong, if anything
                known = ""
        digest.update(f"{url}\0{known}\n".encode())
    return digest.hexdigest()


def copy_streams(stage: Stage, urls: Sequence[str]) -> None:
    """Copy the shards to the stage's folder `COPIES`."""
    if not urls:
        return
    stems = [PurePosixPath(name).stem for name in shard_names(map(_file_name, urls))]
    tasks = {
        f"{COPIES}-{stem}": {"url": url, "stem": stem}
        for stem, url in zip(stems, urls, strict=True)
    }
    run_shards(
        stage,
        tasks,
        _Copier,
        {"out": stage.url},
        weights=dict.fromkeys(tasks, 1),
        unit="shards to read",
    )


def remove_copies(stage: Stage, urls: Sequence[str]) -> None:
    """Remove the folder, after the dataset is whole."""
    if urls:
        copies = stage.store.child(COPIES)
        copies.clear()
        if copies.is_local:
            Path(copies.root).rmdir()


class _Copier:
    """Copies one shard, under a name that says whether it is packed by gzip."""

    def __init__(self, out: str) -> None:
        self.out = store(out)

    def __call__(self, task: ShardTask) -> ShardResult:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "shard"
            copy_stream(task["url"], path, retry.waits())
            with path.open("rb") as file:
                packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            name = f"{COPIES}/{task['stem']}.{'tgz' if packed else 'tar'}"
            return {"outputs": [self.out.publish(name, path)]}


def _file_name(url: str) -> str:
    """The name that a URL ends in, in plain letters."""
    if url.startswith(PIPE):
        return "pipe.tar"
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return re.sub(r"[^\w.-]", "_", name) or "shard.tar"
