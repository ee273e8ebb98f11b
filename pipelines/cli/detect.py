"""The command detect: events in any audio files."""

import contextlib
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from cluster.preflight import check_job_outputs
from cluster.session import session
from pipelines.cli.types import Flat
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.inputs import (
    CHECKPOINT,
    checked,
)
from pipelines.stages.detect.settings import DetectSettings


def detect(
    files: Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE...")]],
    checkpoint: str,
    settings: Annotated[DetectSettings, Flat] = DetectSettings(),
    format: Literal["tsv", "csv", "json", "audacity"] = "tsv",
    output_dir: str | None = None,
    on_error: Literal["fail", "skip"] = "fail",
    address: str | None = None,
) -> None:
    """Find events in audio files of any length, rate and number of channels.

    The events go to standard output; a score is the highest probability inside the event, or of a
    box its mean.
    Status 1 tells that files were skipped. Write ./-name.wav for names that begin with a dash.

    Args:
        files: Audio files, folders or URLs.
        checkpoint: The detector, as `pmam finetune` wrote it (.../detector.safetensors); what makes
            events of its scores is stored in it.
        settings: Windows, and post-processing other than the detector's.
        format: Format of the events; audacity is a label track per file.
        output_dir: Write one file of events per audio file here instead.
        on_error: What to do at an unreadable file: fail, or skip it and go on.
        address: Address of a Ray cluster, for many files.
    """
    if not files:
        raise PipelineError("no files: give audio files, folders or URLs to look for events in")
    check_job_outputs((output_dir,) if output_dir else ())
    checked((CHECKPOINT, checkpoint))
    from pipelines.stages.detect.inputs import audio_files

    audio_files(files, on_error)  # says what is wrong with them
    from pipelines.stages.detect.stage import write_detections

    with session(address) if address else contextlib.nullcontext():
        skipped = write_detections(
            files,
            checkpoint,
            settings,
            format_name=format,
            output_dir=output_dir,
            on_error=on_error,
        )
    if skipped:
        raise SystemExit(1)
