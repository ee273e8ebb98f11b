"""The command verify."""

from pipelines.cli.types import Dataset, Flag
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.workers.reach import joined


def verify(
    dataset: Dataset,
    decode: float = 1.0,
    repair: Flag = False,
    drop_lost: Flag = False,
    every: Flag = False,
    address: str | None = None,
) -> None:
    """Check a dataset: sizes, checksums, tar structure, labels, and that audio decodes.

    Ends with status 0 where it is whole, 1 where something is wrong, which is listed (the first
    20 of each kind, and how many more), and 2 where there is no dataset to read. Recordings whose
    channels cancel each other are warned of. --repair rebuilds a lost or damaged manifest and index
    from the tars, and writes damaged shards anew from their whole clips; replaced files go to
    DATASET/damaged. Shards outside the dataset are never changed.

    Args:
        dataset: Folder of the dataset.
        decode: Share of the clips whose audio is decoded, 0 to 1.
        repair: Rebuild what can be rebuilt, then check again.
        drop_lost: With --repair: leave lost clips out of a new index.
        every: List all that is wrong, however much it is.
        address: Address of a Ray cluster whose workers read the shards; by default this machine
            does.
    """
    if drop_lost and not repair:
        raise PipelineError("--drop-lost without --repair; give both, or neither")
    from pipelines.stages.verify import repair_dataset, verify_dataset

    if repair:
        repair_dataset(dataset, drop=drop_lost)
    with joined(address, reads=(dataset,), writes=()):
        verify_dataset(dataset, decode, every=every)
