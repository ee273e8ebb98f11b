"""The command clean: a finished run becomes small."""

from typing import Annotated

import tyro
from tyro.conf import Positional

from cluster.storage.urls import absolute
from pipelines.cli.run import CONFIG
from pipelines.runtime.files.clean import clean as clean_run
from pipelines.runtime.lines import print_line


def clean(run: Positional[Annotated[str, tyro.conf.arg(metavar="RUN")]]) -> None:
    """Remove from a finished run what its stages make again: audio, frames, training states.

    Detectors and other checkpoints, prototypes, results, pictures, the dataset's index and all
    records stay, and the same `pmam run` still finds its stages done. What was removed comes back
    by `pmam run ... --redo` of its first stage.

    Args:
        run: Folder of the run.
    """
    done = clean_run(absolute(run), CONFIG)
    print_line(
        f"removed {done.files} files, {done.freed / 1e6:.1f} MB; {done.files_left} files, "
        f"{done.bytes_left / 1e6:.1f} MB are left"
    )
