"""The command convert: annotations from any format to any other."""

from typing import Annotated

import tyro
from tyro.conf import Positional

from cluster.outputs import check_job_outputs
from pipelines.cli.types import Flag, Out
from pipelines.runtime.lines import print_line
from pipelines.runtime.words import counted
from shards.errors import SHOWN, told


def convert(
    source: Positional[Annotated[str, tyro.conf.arg(metavar="IN")]],
    out: Out,
    format: str,
    audio: str | None = None,
    together: Flag = False,
    overwrite: Flag = False,
) -> None:
    """Convert annotations: events in files of any format to others.

    The format of what is read is recognised by its content. What a format cannot hold, such as
    scores in Audacity's labels, is told; columns that are not known survive where a format has
    room for them. Status 1 tells that files of a folder could not be read.

    Args:
        source: File of annotations, or a folder of them; recordings beside them give their length.
        out: File, or folder where several are written: one for each file that is read, and in
            formats that tell of one recording (audacity, raven, textgrid, ...) one for each
            recording.
        format: Formats to write, with commas between: tsv, csv, json, jsonl, parquet, audacity,
            raven, textgrid, textgrid-short, eaf, svl, rttm, jams, label-studio, aoef, birdnet,
            kaleidoscope.
        audio: Name of the recording, where the format of a single file does not tell it.
        together: Write one file of everything.
        overwrite: Replace files that are there.
    """
    check_job_outputs((out,))
    from pipelines.stages.convert import convert as convert_files

    formats = [name for name in map(str.strip, format.split(",")) if name]
    done = convert_files(source, out, formats, audio=audio, together=together, overwrite=overwrite)
    kinds = ", ".join(f"{count} {name}" for name, count in done.read.items())
    print_line(
        f"converted {counted(sum(done.read.values()), 'file')} ({kinds}): "
        f"{counted(done.events, 'event')} of {counted(done.recordings, 'recording')} in "
        f"{counted(len(done.written), 'file')}"
    )
    if done.unknown:
        print_line(f"in no format that is known: {told(done.unknown)}")
    for reason in done.unreadable[:SHOWN]:
        print_line(f"unreadable: {reason}")
    if len(done.unreadable) > SHOWN:
        print_line(f"unreadable: and {len(done.unreadable) - SHOWN} more")
    if done.unreadable:
        raise SystemExit(1)
