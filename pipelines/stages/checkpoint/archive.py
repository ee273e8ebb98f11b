"""Tar archives from elsewhere, unpacked below a folder and nowhere else."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pipelines.runtime.errors import PipelineError
from shards.io.gzip_index import GzipRanges
from shards.io.store import Store
from shards.packing.tar_scan import GZIP_MAGIC, scan_members

# The published pseudo labels are about 4 GB, in tables of 200 kB.
MOST_BYTES, MOST_BYTES_OF_A_FILE = 64 << 30, 256 << 20


def unpack(
    archive: Path, target: Store, suffixes: Sequence[str], most_bytes: int = MOST_BYTES
) -> list[str]:
    """Write the files of a tar, or tar.gz, that end in one of `suffixes`; returns their names.

    Only plain files are written, below the target; other files stay in the archive.

    Args:
        archive: path of the tar; whether it is packed by gzip is seen from its bytes.
        target: the folder.
        suffixes: of the files that are wanted.
        most_bytes: of the wanted files together.

    Raises:
        PipelineError: a wanted file that is a link, leads out of the folder or comes twice, more
            bytes than allowed, or nothing wanted.
        TarError, GzipError: no tar, or one that is damaged or ends too early.
    """
    wanted = tuple(suffixes)

    def refuse(name: str, reason: str) -> None:
        if name.endswith(wanted):
            raise PipelineError(
                f"{archive}: holds {name!r}: {reason}; expected plain files below one folder, and "
                "nothing more of it is unpacked"
            )

    written: set[str] = set()
    total = 0
    with archive.open("rb") as raw:
        is_packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        file = GzipRanges(raw, str(archive)) if is_packed else raw
        for member in scan_members(file, str(archive), refuse):  # type: ignore[arg-type]
            name = str(PurePosixPath(member.name))  # without ./ before it
            if not name.endswith(wanted):
                continue
            total += member.size
            if name in written:
                raise PipelineError(f"{archive}: holds {name} twice; expected each file once")
            if member.size > MOST_BYTES_OF_A_FILE or total > most_bytes:
                raise PipelineError(
                    f"{archive}: {name} has {member.size} bytes, all so far {total}; expected at "
                    f"most {MOST_BYTES_OF_A_FILE} and {most_bytes}: is it the right archive?"
                )
            file.seek(member.offset)
            data = file.read(member.size)
            if len(data) == member.size:  # else the scan says that the tar ends too early
                target.write(name, data)
                written.add(name)
    if not written:
        raise PipelineError(
            f"{archive}: no file that ends in {' or '.join(wanted)}; is it the right archive?"
        )
    return sorted(written)
