"""Where the shards of a dataset lie: under its own root, or at URLs that its manifest names.

A dataset of new labels, a merged or a filtered one, and an index over somebody else's tars hold
no audio: their manifest names each tar's URL, absolute or relative to the dataset's own.
"""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from shards.index import IndexRow
from shards.io.store import Store
from shards.manifest import SHARD_FOLDER, DatasetError, ShardEntry
from shards.rows import table_of

# The store of a folder's absolute URL; given from outside, which knows of credentials.
Resolver = Callable[[str], Store]


def local_only(url: str) -> Store:
    """The resolver that knows local folders alone."""
    if "://" in url:
        raise DatasetError(
            f"{url}: shards lie there, and only local folders can be opened here; "
            "open the dataset with a resolver of such URLs"
        )
    return Store.local(url)


class Places:
    """From a shard's name in the index to the store that it lies in, and its name there."""

    def __init__(
        self, store: Store, shards: Iterable[ShardEntry], resolve: Resolver = local_only
    ) -> None:
        self.store, self.resolve = store, resolve
        self._urls = {shard.name: shard.url for shard in shards if shard.url is not None}
        self._stores: dict[tuple[bool, str], Store] = {}

    def __call__(self, shard: str) -> tuple[Store, str]:
        """The place of a shard; `DatasetError` where its URL leads nowhere."""
        url = self._urls.get(shard)
        if url is None:
            return self.store, shard
        if url.lower().startswith("pipe:"):
            raise DatasetError(
                f"shard {shard}: its URL is a command ({url.partition(' ')[0]} ...), which a "
                "manifest may not name: pack what the command gives"
            )
        near = not is_absolute(url)
        path = posixpath.normpath(posixpath.join(self.store.root, url)) if near else url
        folder, _, name = path.rpartition("/")
        if name in ("", ".", "..") or folder.split("/")[0] == "..":
            raise DatasetError(f"shard {shard}: its URL {url} leads to no file; reindex it again")
        if (near, folder) not in self._stores:
            self._stores[near, folder] = (
                Store(self.store.filesystem, folder) if near else self.resolve(folder or "/")
            )
        return self._stores[near, folder], name


def is_absolute(url: str) -> bool:
    """Whether a URL needs no dataset to be resolved against."""
    return "://" in url or url.startswith("/")


def url_of(shard: ShardEntry, dataset_url: str) -> str:
    """The absolute URL of a shard of the dataset at an absolute URL."""
    url = shard.name if shard.url is None else shard.url
    if is_absolute(url):
        return url
    scheme, mark, path = dataset_url.rpartition("://")
    return f"{scheme}{mark}{posixpath.normpath(posixpath.join(path, url))}"


def relative_url(url: str, dataset_url: str) -> str:
    """An absolute URL as seen from a dataset, for a dataset that moves together with its shards.

    Raises:
        DatasetError: they lie on different file systems or in different buckets.
    """
    scheme, mark, path = url.rpartition("://")
    from_scheme, _, from_path = dataset_url.rpartition("://")
    if scheme != from_scheme or (mark and path.split("/")[0] != from_path.split("/")[0]):
        raise DatasetError(
            f"{url}: has no relative address from {dataset_url}; leave --relative out, or write "
            "the new dataset to the same bucket"
        )
    return posixpath.relpath(path, from_path)


def refer(
    shards: Iterable[ShardEntry], dataset_url: str, out_url: str, *, relative: bool = False
) -> list[ShardEntry]:
    """The shards of one dataset as another dataset names them: where they are, not copied."""
    return [
        replace(shard, url=relative_url(url, out_url) if relative else url)
        for shard in shards
        for url in [url_of(shard, dataset_url)]
    ]


def counted(shards: Iterable[ShardEntry], rows: Iterable[IndexRow]) -> list[ShardEntry]:
    """The same shards with the number of rows that an index has in each."""
    found = table_of(rows)["shard"].value_counts().to_pylist()
    counts = {each["values"]: each["counts"] for each in found}
    return [replace(shard, clips=counts.get(shard.name, 0)) for shard in shards]


def shard_stem(name: str) -> str:
    """A tar's name without what says that it is one, and how it is packed."""
    return re.sub(r"\.(tar(\.(gz|zst|xz|bz2|lz4))?|tgz|tzst|txz|tbz2?)$", "", name, flags=re.I)


def shard_names(urls: Iterable[str]) -> list[str]:
    """A name for each tar: its own where all differ, else with its number in front.

    Whatever is computed per shard is named after the stem, so that stems must differ.
    """
    stems = [PurePosixPath(shard_stem(url)).name for url in urls]
    if len(set(stems)) < len(stems):
        stems = [f"{number:05d}-{stem}" for number, stem in enumerate(stems)]
    return [f"{SHARD_FOLDER}/{stem}.tar" for stem in stems]
