"""Detections as files: to standard output, or to a folder with a journal."""

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from cluster.storage.urls import absolute
from pipelines.inference.annotation_files import FormatError, chosen_formats, output_names
from pipelines.inference.audio_inputs import AudioInput, OnError, audio_inputs
from pipelines.inference.score_files import ScoreFormat
from pipelines.runtime.files.urls import checkpoint_fingerprint, store
from pipelines.runtime.words import counted
from pipelines.stages.detect.counts import Counts
from pipelines.stages.detect.file import ScoreTarget
from pipelines.stages.detect.journal import Journal
from pipelines.stages.detect.outputs import TOGETHER, pieces, write_together
from pipelines.stages.detect.results import BY_CHANNEL, SCORED, FileEvents
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.stage import Task, checked_detector, detect
from pmam.settings import to_json
from shards.annotations.delimited import line
from shards.annotations.event import Columns
from shards.annotations.format import Format
from shards.io.store import Store

SKIPPED = "skipped.tsv"  # files that could not be read, and why
COUNTS = "counts.csv"
log = logging.getLogger("pmam")


def write_detections(
    files: Sequence[str],
    checkpoint: str,
    settings: DetectSettings,
    *,
    formats: Sequence[str] = ("tsv",),
    output_dir: str | None = None,
    together: bool = False,
    scores: ScoreFormat | None = None,
    counts: str | None = None,
    on_error: OnError | None = None,
    overwrite: bool = False,
    file_list: str | None = None,
    out: TextIO | None = None,
) -> list[str]:
    """Detect, and write events; returns the errors of files that were skipped.

    Without a folder, an error in the middle leaves the text with the files before it: a JSON list
    without its end. In a folder, every file is whole or not there, and the same call goes on where
    a killed one was (`pipelines.stages.detect.journal`).

    Args:
        files, file_list: as for `audio_inputs`.
        checkpoint: URL of a detector.
        settings: windows, and post-processing other than the detector's.
        formats: some of `shards.annotations.FORMATS`.
        output_dir: a folder or URL that gets files of events; without it, one text of all
            recordings goes to `out`.
        together: one file of all recordings, `events.tsv` and so on, instead of one for each.
        scores: how frame scores are written, too, `<recording>.scores.npz` or so; not by default.
        counts: a path or URL that gets a table of events per hour.
        on_error: what to do at a file that is missing or cannot be read; by default `skip` where
            recordings were found in folders, patterns, lists or datasets, and else `fail`.
        overwrite: replace what another run left in the folder.
        out: by default the standard output.

    Raises:
        InputError, SourceError, CheckpointError, DetectError, AnnotationError: what was given does
            not fit.
        FormatError: a format that tells a single file's events for several files, and so on.
        JournalError: the folder holds results of another run.
    """
    inputs = audio_inputs(files, on_error, file_list)
    for note in inputs.notes:
        log.warning("%s", note)
    if on_error is None:
        on_error = "skip" if inputs.found else "fail"
    chosen = chosen_formats(formats, len(inputs.audio), output_dir, together)
    if output_dir is None and (scores is not None or together):
        what = "--scores" if scores is not None else "--together"
        raise FormatError(f"{what} writes files: give --output-dir, the folder that they go to")
    if scores is not None and settings.channel == "each":
        raise FormatError(
            "--scores keeps those of one channel: give --channel left, right, loudest or mean, or "
            "leave it out"
        )
    # Taken before any progress bar is up, which would put its own stream there.
    out = sys.stdout if out is None else out
    detector = checked_detector(checkpoint, settings)
    columns = BY_CHANNEL if settings.channel == "each" else SCORED
    for each in chosen.values():
        if "score" not in each.holds:
            log.info("%s cannot hold scores: they are left out there", each.title)
        if columns is BY_CHANNEL and "channel" not in each.holds:
            log.warning("%s cannot hold channels: events of all stand together there", each.title)
    total = Counts(detector.classes)
    if output_dir is None:
        tasks: list[Task] = [(audio, None) for audio in inputs.audio]
        results = detect(tasks, checkpoint, detector, settings, on_error)
        (text_format,) = chosen.values()
        errors = write_together(_counted(results, total), text_format, out, columns)
    else:
        url = absolute(output_dir)
        names = output_names([audio.name for audio in inputs.audio])
        folder = _Folder(store(url), names, chosen, together, scores, columns)
        identity = {
            "detector": checkpoint_fingerprint(checkpoint),
            "settings": to_json(settings),
            "formats": list(chosen),
            "together": together,
            "scores": scores,
            "files": len(names),
            "files_sha256": hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest(),
        }
        with Journal(folder.store, identity, folder.names(), overwrite) as journal:
            waiting = [audio for audio in inputs.audio if audio.name not in journal.done]
            if gone := len(inputs.audio) - len(waiting):
                log.info("%s of %d done already: going on", counted(gone, "file"), len(names))
            tasks = [(audio, folder.target(url, audio)) for audio in waiting]
            results = detect(tasks, checkpoint, detector, settings, on_error, in_order=False)
            failed = folder.fill(results, journal)
            folder.finish(journal, inputs.audio, failed, total)
        errors = list(failed.values())
    if counts is not None:
        parent, _, name = absolute(counts).rpartition("/")
        store(parent or "/").write(name, total.text())
    return errors


def _counted(results: Iterator[FileEvents], total: Counts) -> Iterator[FileEvents]:
    for found in results:
        total.add(found)
        yield found


class _Folder:
    """The files of one run in its folder.

    Args:
        store: the folder.
        names: of recordings, below it.
        formats: by name.
        together: one file of all recordings.
        scores: how frame scores are written, if they are.
        columns: what events have.
    """

    def __init__(
        self,
        store: Store,
        names: Mapping[str, str],
        formats: Mapping[str, Format],
        together: bool,
        scores: ScoreFormat | None,
        columns: Columns,
    ) -> None:
        self.store, self._names, self._formats = store, names, formats
        self._together, self._scores, self._columns = together, scores, columns

    def names(self) -> set[str]:
        """All that the run may write."""
        names = {TOGETHER} if self._together else set(self._names.values())
        written = {name + each.suffix for name in names for each in self._formats.values()}
        if self._scores is not None:
            written |= {f"{name}.scores.{self._scores}" for name in self._names.values()}
        return written | {SKIPPED}

    def target(self, url: str, audio: AudioInput) -> ScoreTarget | None:
        """Where the scores of a recording go."""
        if self._scores is None:
            return None
        name = f"{self._names[audio.name]}.scores.{self._scores}"
        return ScoreTarget(url=url, name=name, score_format=self._scores)

    def fill(self, results: Iterator[FileEvents], journal: Journal) -> dict[str, str]:
        """Write each result, and then that it is done; errors by recording are returned."""
        errors = {}
        for found in results:
            if found.error is not None:
                errors[found.file] = found.error
                continue
            if not self._together:
                for each in self._formats.values():
                    name = self._names[found.file] + each.suffix
                    self.store.write(name, b"".join(pieces([found], each, self._columns)))
            journal.add(found.to_json())
        return errors

    def finish(
        self,
        journal: Journal,
        audio: Sequence[AudioInput],
        errors: Mapping[str, str],
        total: Counts,
    ) -> None:
        """What is written of all recordings: one file of events, and the list of errors."""
        done = [FileEvents.from_json(journal.done[a.name]) for a in audio if a.name in journal.done]
        for found in done:
            total.add(found)
        if self._together:
            for each in self._formats.values():
                self.store.write(
                    TOGETHER + each.suffix, b"".join(pieces(done, each, self._columns))
                )
        if errors:
            lines = [line((file, error), "\t") for file, error in errors.items()]
            text = line(("filename", "error"), "\t") + "".join(lines)
            self.store.write(SKIPPED, text.encode("utf-8", "backslashreplace"))
        else:
            self.store.delete(SKIPPED)
