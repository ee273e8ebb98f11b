"""What is looked at of each input, to see that a node reads the same."""

import contextlib
import logging
from collections.abc import Iterator, Sequence

from pyarrow.fs import FileSelector, FileSystem, FileType

from cluster.storage.filesystems import filesystem
from cluster.storage.urls import absolute
from pipelines.runtime.files.urls import join, store
from shards.io.atomic import TEMPORARY
from shards.locations import url_of
from shards.manifest import MANIFEST, DatasetError, read_manifest

CHECKPOINT = ".safetensors"
log = logging.getLogger("pmam")


def objects(urls: Sequence[str]) -> list[str]:
    """An object of each input: of a dataset its manifest, and a shard of each folder of shards.

    Of objects in the same folder one is taken.
    """
    found: dict[str, str] = {}
    for url in urls:
        try:
            for one in _objects(absolute(url)):
                folder = one.rpartition("/")[0]
                if folder not in found and _is_file(one):
                    found[folder] = one
        except (OSError, ValueError) as error:
            log.debug("%s: %s", url, error)  # the command itself says what is wrong with it
    return list(found.values())


def _objects(url: str) -> Iterator[str]:
    source, path = filesystem(url)
    kind = source.get_file_info(path).type
    if kind == FileType.File:
        yield url
    elif kind != FileType.Directory:
        if source.get_file_info(path + CHECKPOINT).type == FileType.File:
            yield url + CHECKPOINT
    elif store(url).size(MANIFEST) is None:
        if (name := _first(source, path)) is not None:
            yield join(url, name)
    else:
        yield join(url, MANIFEST)
        with contextlib.suppress(DatasetError):
            for shard in read_manifest(store(url)).shards:
                yield url_of(shard, url)


def _is_file(url: str) -> bool:
    source, path = filesystem(url)
    return bool(source.get_file_info(path).type == FileType.File)


def _first(source: FileSystem, folder: str) -> str | None:
    """The name of a file somewhere below a folder; without a listing of all of them."""
    inner = []
    for info in source.get_file_info(FileSelector(folder, allow_not_found=True)):
        if info.type == FileType.File and not info.base_name.startswith(TEMPORARY):
            return str(info.base_name)
        if info.type == FileType.Directory:
            inner.append(info)
    for info in inner:
        if (name := _first(source, info.path)) is not None:
            return f"{info.base_name}/{name}"
    return None
