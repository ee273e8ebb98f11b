"""The command `video`: a recording as a film, with what a detector finds in it."""

from pathlib import PurePosixPath
from typing import Annotated

import tyro
from tyro.conf import Positional

from cluster.storage.urls import absolute
from pipelines.cli.types import Flat
from pipelines.runtime.errors import MissingFileError
from pipelines.runtime.files.inputs import CHECKPOINT, checked
from pipelines.runtime.files.urls import is_folder, store
from pipelines.runtime.lines import print_result
from pipelines.stages.detect.settings import DetectSettings


def video(
    file: Positional[Annotated[str, tyro.conf.arg(metavar="FILE")]],
    detector: str,
    out: str | None = None,
    settings: Annotated[DetectSettings, Flat] = DetectSettings(),
) -> None:
    """Show a recording and what is detected in it: spectrogram, lanes, moving cursor, sound.

    The film is H.264 with AAC (MP4), or VP9 with Opus (WebM), where PyAV has no H.264; no program
    of FFmpeg is needed.

    Args:
        file: Audio file of 10 minutes at most, or its URL.
        detector: Checkpoint of the detector, as `pmam finetune` wrote it.
        out: Film to write; by default FILE with .mp4 or .webm at its end, in this folder.
        settings: Windows, and post-processing other than the detector's.
    """
    if not file or is_folder(file) is not False:
        raise MissingFileError(f"{file!r}: no such audio file; check the path")
    checked((CHECKPOINT, detector))
    from pipelines.stages.detect.file import detect_file
    from pipelines.stages.detect.film import codecs, film
    from pipelines.stages.detect.stage import checked_detector

    kind = codecs(PurePosixPath(out).suffix if out else None)
    out = absolute(out or f"{PurePosixPath(file).name}{kind.suffix}")
    model = checked_detector(detector, settings)
    found = detect_file(model, absolute(file), settings)
    folder, _, name = absolute(file).rpartition("/")
    made = film(store(folder or "/").read(name), name, found.events, model.classes, kind)
    folder, _, name = out.rpartition("/")
    store(folder or "/").write(name, made)
    print_result(out)
