"""What identifies the inputs of an evaluation, of any kind."""

from collections.abc import Sequence

from pyarrow.fs import FileType

from cluster.storage.filesystems import filesystem
from pipelines.runtime.errors import MissingFileError
from pipelines.runtime.files.urls import dataset_fingerprint, file_fingerprint, store
from pipelines.runtime.stage import DONE, fingerprint_of, listing_fingerprint
from pipelines.stages.evaluate.truth import is_dataset


def fingerprints(
    truth: str,
    scores: Sequence[str],
    durations: str | None,
    audio: str | None,
    postprocess: str | None,
) -> dict[str, str]:
    """Fingerprints by the names that the stage's record has for them."""
    found = {"dataset": dataset_fingerprint(truth) if is_dataset(truth) else _of_files(truth)}
    for number, url in enumerate(scores, start=1):
        found["scores" if number == 1 else f"scores {number}"] = _of_output(url)
    if durations is not None:
        found["durations"] = _of_files(durations)
    if audio is not None:
        found["audio"] = _of_files(audio)
    if postprocess is not None:
        found["postprocess"] = _of_files(postprocess)
    return found


def _of_output(url: str) -> str:
    source, path = filesystem(url)
    is_folder = source.get_file_info(path).type == FileType.Directory
    if is_folder and store(url).size(DONE) is not None:
        return fingerprint_of(url)
    return _of_files(url)


def _of_files(url: str) -> str:
    source, path = filesystem(url)
    kind = source.get_file_info(path).type
    if kind == FileType.NotFound:
        raise MissingFileError(f"{url}: no such file or folder; check the path")
    return listing_fingerprint(url) if kind == FileType.Directory else file_fingerprint(url)
