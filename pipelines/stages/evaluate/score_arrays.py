"""Scores in NumPy's npz: a file of each clip, or one file of all."""

import io
import zipfile
import zlib
from typing import Any

import numpy as np

from pipelines.runtime.errors import PipelineError
from pipelines.stages.evaluate.outputs import FrameOutput, Scores
from pipelines.stages.evaluate.score_tables import by_clip, checked_edges
from pmam.events.event import FloatArray
from shards.clip import nfc
from shards.io.store import Store


def arrays(folder: Store, files: list[str], name: str) -> FrameOutput:
    """NumPy's npz: a file of each clip, or one file of all."""
    first = _npz(folder, files[0])
    if "classes" not in first:
        raise PipelineError(
            f"{folder.path(files[0])}: got the arrays {', '.join(first)}; expected classes, and "
            "scores with edges_s or hop_s; or an array for each clip with hop_s"
        )
    classes = tuple(nfc(str(each)) for each in first["classes"])
    if len(files) == 1 and "scores" not in first:
        clips = {key: value for key, value in first.items() if key not in ("classes", "hop_s")}
        if "hop_s" not in first:
            raise PipelineError(f"{folder.path(files[0])}: no hop_s; expected seconds per frame")
        hop_s = _hop_s(first, folder.path(files[0]))
        return FrameOutput(
            name=name, classes=classes, clips=tuple(clips), read=lambda clip: (clips[clip], hop_s)
        )
    files_of = by_clip(files, folder)

    def read_clip(clip: str) -> tuple[Scores, FloatArray | float]:
        path = folder.path(files_of[clip])
        held = _npz(folder, files_of[clip])
        if "scores" not in held or not {"edges_s", "hop_s"} & held.keys():
            raise PipelineError(
                f"{path}: got the arrays {', '.join(held)}; expected scores, classes, and "
                "edges_s or hop_s"
            )
        if (found := tuple(nfc(str(each)) for each in held.get("classes", ()))) != classes:
            raise PipelineError(
                f"{path}: got the classes {', '.join(found)}; expected those of {files[0]}: "
                f"{', '.join(classes)}"
            )
        scores = np.asarray(held["scores"])
        if "edges_s" not in held:
            return scores, _hop_s(held, path)
        edges_s = np.asarray(held["edges_s"], dtype=np.float64)
        return scores, checked_edges(edges_s, edges_s[1:], path)

    return FrameOutput(name=name, classes=classes, clips=tuple(files_of), read=read_clip)


def _hop_s(held: dict[str, Any], path: str) -> float:
    hop = np.asarray(held["hop_s"])
    if hop.size != 1 or hop.dtype.kind not in "iuf" or not 0 < hop.item() < np.inf:
        raise PipelineError(
            f"{path}: got the hop_s {np.array2string(hop, threshold=4)}; expected one positive "
            "number of seconds per frame"
        )
    return float(hop.item())


def _npz(folder: Store, file: str) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(folder.read(file)), allow_pickle=False) as opened:
            return {key: opened[key] for key in opened.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PipelineError(
            f"{folder.path(file)}: no readable npz ({error}); expected arrays of numbers and names"
        ) from error
