"""Whether what is to be evaluated is there at all; nothing that computes is loaded for it."""

from collections.abc import Sequence

from pyarrow.fs import FileType

from cluster.storage.filesystems import filesystem
from pipelines.runtime.errors import MissingFileError, PipelineError

NEW_FORM = "pmam evaluate TRUTH SCORES [SCORES ...] --out FOLDER"
KINDS = (
    "what `pmam score` wrote, a folder of score tables (onset, offset, a column for each class) or "
    ".npz files, or detected events as a table or a folder of tables, one for each operating point"
)


def check_places(
    truth: str, scores: Sequence[str], others: Sequence[str | None], out: str | None
) -> str:
    """The folder of the results.

    Args:
        truth, scores: where they are.
        others: tables and folders beside them, where they are given.
        out: where the results go.

    Raises:
        PipelineError: something is not given.
        MissingFileError: a path leads nowhere.
    """
    if out is None or not scores:
        raise PipelineError(
            f"evaluate {' '.join((truth, *scores))}: expected scores, and the folder of the "
            f"results behind --out: {NEW_FORM}"
        )
    for place in (truth, *others):
        if place is not None and not _is_there(place):
            raise MissingFileError(f"{place}: no such file or folder; check the path")
    for place in scores:
        if not _is_there(place):
            raise MissingFileError(f"{place}: no such scores; expected {KINDS}: {NEW_FORM}")
    return out


def _is_there(url: str) -> bool:
    source, path = filesystem(url)
    return bool(source.get_file_info(path).type != FileType.NotFound)
