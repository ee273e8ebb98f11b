"""What travels with a job: the folder of the code, without what nobody needs there."""

import logging
from pathlib import Path

from cluster.submit.checks import SubmitError

# As in .gitignore. Ray leaves out what .gitignore and .rayignore name, too.
EXCLUDED = (
    ".git/",
    ".venv/",
    "__pycache__/",
    "*.egg-info/",
    ".*_cache/",
    ".hypothesis/",
    "/tests/",
    "/benchmarks/",
    "/runs/",
    "/dist/",
    "/build/",
)
SHOWN = 5  # of the largest files


def check_upload(folder: Path, excluded: tuple[str, ...] = EXCLUDED) -> int:
    """The bytes that would be sent of a folder.

    Args:
        folder: of the code.
        excluded: patterns of what stays here.

    Raises:
        SubmitError: there is no such folder, or it is larger than what Ray takes; names the
            largest files.
    """
    from ray._private.runtime_env import packaging

    if not folder.is_dir():
        raise SubmitError(f"{folder}: no such folder; give --working-dir, or none")
    sizes: dict[Path, int] = {}

    def weigh(path: Path) -> None:
        if path.is_file():
            sizes[path] = path.stat().st_size

    # Ray's own walk, so that what is weighed is what is sent.
    packaging._dir_travel(
        folder,
        [packaging._get_excludes(folder, list(excluded))],
        weigh,
        include_gitignore=True,
        logger=logging.getLogger("pmam"),
    )
    total, limit = sum(sizes.values()), packaging.GCS_STORAGE_MAX_SIZE
    if total < limit:
        return total
    largest = sorted(sizes, key=lambda path: -sizes[path])[:SHOWN]
    named = ", ".join(f"{path.relative_to(folder)} ({_mib(sizes[path])})" for path in largest)
    raise SubmitError(
        f"{folder}: {_mib(total)} would be sent, and Ray takes less than {_mib(limit)}; the "
        f"largest files are {named}: name them in {folder / '.rayignore'}, or give another "
        "--working-dir"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
