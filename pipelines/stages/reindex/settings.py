"""What can be chosen of a reindexed dataset: no torch is loaded for it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NewDataset:
    """What every reindexed dataset needs."""

    # Name of the new dataset; by default that of the old one.
    name: str | None = None
    # Write paths of shards relative to the new dataset, for folders that move together.
    relative: bool = False


@dataclass(frozen=True, kw_only=True)
class ForeignDataset(NewDataset):
    """What an index over foreign shards needs besides the rule for their members."""

    # Licence of the recordings.
    licence: str = "unknown"
    # Unpack tars of gzip, zstd, xz, bzip2 or lz4 into the new dataset: packed, they have no ranges.
    unpack: bool = False
