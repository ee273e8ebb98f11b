"""The tags of recordings, out of files of frames: as scores of windows, as a table, as JSON."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import record_of
from pipelines.stages.tag.stage import Tagged
from pmam.tagging.events import TagScores
from pmam.tagging.settings import TagSettings
from pmam.tagging.windows import WindowGrid
from shards.annotations.delimited import line

COLUMNS = ("filename", "onset", "offset", "tag", "probability")
DIGITS = 4  # of probabilities that are written


class TagSet:
    """What the stage `tag` wrote at a URL: its recordings, and the scores of each."""

    def __init__(self, url: str) -> None:
        result, folder = record_of(url)["result"], store(url)
        lists = [json.loads(folder.read(name)) for name in result["lists"]]
        self.recordings = [Tagged(**each) for of_file in lists for each in of_file]
        self.skipped: list[tuple[str, str]] = [(n, reason) for n, reason in result["skipped"]]
        self.names: tuple[str, ...] = tuple(result["classes"])
        self.grid = WindowGrid(**result["grid"])
        self.short = int(result["short"])
        self._frames = open_frames(url) if result["outputs"] else None

    def scores(self, recording: Tagged) -> TagScores:
        """The probabilities of a recording's windows."""
        assert self._frames is not None  # where there is a recording, there is a file
        return TagScores(
            probabilities=self._frames.read(recording.frames),
            names=self.names,
            grid=self.grid,
            end_s=recording.end_s,
        )


def windows_of(scores: TagScores, settings: TagSettings) -> Iterator[dict[str, Any]]:
    """Each window's time, with the tags that count in it, the most probable first."""
    counted = scores.counted(settings.top, settings.threshold)
    for k, row in enumerate(scores.probabilities):
        onset_s, offset_s = scores.grid.cell_s(k, scores.end_s)
        if onset_s >= offset_s:  # a hop that begins with the end of the recording
            continue
        chosen = np.flatnonzero(counted[k])
        ranked = chosen[np.argsort(-row[chosen], kind="stable")]
        tags = [{"tag": scores.names[n], "probability": _rounded(row[n])} for n in ranked]
        yield {"onset_s": round(onset_s, 6), "offset_s": round(offset_s, 6), "tags": tags}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def tag_table(found: TagSet, settings: TagSettings) -> Iterator[bytes]:
    """A tab-separated table, a row for each tag of each window."""
    yield line(COLUMNS, "\t").encode()
    for recording in found.recordings:
        rows = []
        for window in windows_of(found.scores(recording), settings):
            times = (f"{window['onset_s']:.3f}", f"{window['offset_s']:.3f}")
            rows += [
                line((recording.name, *times, each["tag"], f"{each['probability']:g}"), "\t")
                for each in window["tags"]
            ]
        yield "".join(rows).encode("utf-8", "backslashreplace")


def tag_json(found: TagSet, settings: TagSettings) -> Iterator[bytes]:
    """A list of recordings, each with its windows."""
    entries = (
        {
            "file": recording.name,
            "duration_s": round(recording.end_s, 6),
            "windows": list(windows_of(found.scores(recording), settings)),
        }
        for recording in found.recordings
    )
    return json_list(entries)


def json_list(entries: Iterable[Any]) -> Iterator[bytes]:
    """A JSON list, an entry a line, each as soon as it comes."""
    separator = "[\n"
    for entry in entries:
        yield (separator + json.dumps(entry, allow_nan=False)).encode("utf-8", "backslashreplace")
        separator = ",\n"
    yield b"[]\n" if separator == "[\n" else b"\n]\n"
