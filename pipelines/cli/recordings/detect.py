"""The command detect: events in any audio files."""

import contextlib
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from cluster.outputs import check_job_outputs
from cluster.session import session
from pipelines.cli.types import Flag, Flat
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import (
    CHECKPOINT,
    checked,
)
from pipelines.stages.detect.settings import DetectSettings


def detect(
    files: Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE...")]],
    checkpoint: str,
    settings: Annotated[DetectSettings, Flat] = DetectSettings(),
    format: str = "tsv",
    output_dir: str | None = None,
    together: bool = False,
    scores: Literal["tsv", "npz"] | None = None,
    counts: str | None = None,
    files_from: str | None = None,
    on_error: Literal["fail", "skip"] | None = None,
    overwrite: bool = False,
    address: str | None = None,
    microphone: Flag = False,
    device: str | None = None,
    seconds: float | None = None,
) -> None:
    """Find events in audio files of any length, rate and number of channels, or by a microphone.

    The events go to standard output; a score is the highest probability inside the event, or of a
    box its mean. With --output-dir, the same command goes on where a killed one was.
    Status 1 tells that files were skipped. Write ./-name.wav for names that begin with a dash.

    Args:
        files: Audio files, folders, patterns ('day*/**.wav'), URLs, or packed datasets.
        checkpoint: Checkpoint of the detector, as `pmam finetune` wrote it
            (.../detector.safetensors), with its post-processing.
        settings: Windows, and post-processing other than the detector's.
        format: Formats of the events, with commas between: tsv, csv, json, jsonl, parquet,
            audacity, raven, textgrid, textgrid-short, eaf, svl, rttm, jams, label-studio, aoef,
            birdnet, kaleidoscope; several need --output-dir.
        output_dir: Folder or URL that gets one file of events per audio file instead.
        together: One file of all events in the folder instead, events.tsv and so on.
        scores: Format of frame scores, which are kept beside the events; by default they are not.
        counts: File that gets a table of events per hour, with 95 % intervals (CSV).
        files_from: Text with a file or URL a line.
        on_error: What to do at an unreadable file: fail, or skip it and go on; by default skip
            where files were found in folders, patterns, lists or datasets.
        overwrite: Replace results of another run in the folder.
        address: Address of a Ray cluster, for many files.
        microphone: Listen to a microphone instead, and write each event when it is over.
        device: Number of the microphone, or part of its name; by default the machine's default.
        seconds: How long to listen, in seconds; by default until Ctrl-C.
    """
    if microphone:
        given = {
            "FILE": files,
            "--output-dir": output_dir,
            "--together": together,
            "--scores": scores,
            "--counts": counts,
            "--files-from": files_from,
            "--on-error": on_error,
            "--overwrite": overwrite,
            "--address": address,
        }
        if wrong := [name for name, value in given.items() if value]:
            raise PipelineError(f"--microphone writes to standard output; leave {wrong[0]} out")
        checked((CHECKPOINT, checkpoint))
        from pipelines.stages.detect.microphone import listen

        listen(checkpoint, settings, text_format=format, device=device, seconds=seconds)
        return
    if device is not None or seconds is not None:
        raise PipelineError(
            "--device and --seconds are for --microphone: leave them out, or add it"
        )
    if not files and files_from is None:
        raise PipelineError("no files: give audio files, folders or URLs to look for events in")
    check_job_outputs((output_dir,) if output_dir else ())
    checked((CHECKPOINT, checkpoint))
    from pipelines.inference.audio_inputs import audio_inputs

    audio_inputs(files, on_error, files_from)  # says what is wrong with them
    from pipelines.stages.detect.write import write_detections

    with session(address) if address else contextlib.nullcontext():
        skipped = write_detections(
            files,
            checkpoint,
            settings,
            formats=[name for name in map(str.strip, format.split(",")) if name],
            output_dir=output_dir,
            together=together,
            scores=scores,
            counts=counts,
            on_error=on_error,
            overwrite=overwrite,
            file_list=files_from,
        )
    if skipped:
        raise SystemExit(1)
