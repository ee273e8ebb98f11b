"""soundscapes: labelled mixtures from recordings of single events and of backgrounds."""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cluster.storage.filesystems import absolute
from pipelines.runtime.declared import Fingerprints, Work, stage_function
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import Stage, listing_fingerprint
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.stages.settings import SoundscapesSettings
from shards.audio.errors import AudioError
from shards.clip import Clip, Event
from shards.errors import told
from shards.io.store import Store
from shards.manifest import SHARD_FOLDER, write_dataset
from shards.packing.plan import ShardPlan
from shards.packing.writer import WrittenShard, write_shard
from shards.soundscapes import cross_folds
from shards.soundscapes.of_source import recordings_of_source
from shards.soundscapes.plan import plan_subsets, trim_background, trim_foreground
from shards.soundscapes.recordings import (
    Recording,
    class_folders,
    part_backgrounds,
    recordings_from_csv,
    split_by_csv,
    split_by_fold,
    split_by_source,
)
from shards.soundscapes.render import RecordingReader, render_clip, tables
from shards.soundscapes.scene import Soundscape, SoundscapeError
from shards.sources._unread import dangling_links, unread_notes

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1
log = logging.getLogger("pmam")

FOREGROUND, BACKGROUND = "foreground", "background"


class _Renderer:
    """Renders one part of the clips, as files or as one shard."""

    def __init__(self, folders: Mapping[str, str], out: str, settings: SoundscapesSettings) -> None:
        self.out, self.settings = store(out), settings
        stores = {name: store(url) for name, url in folders.items()}
        self.read = RecordingReader(stores, settings.scene.sample_rate_hz)

    def __call__(self, task: ShardTask) -> ShardResult:
        soundscapes = [Soundscape.from_json(line) for line in task["soundscapes"]]
        if not self.settings.shards:
            for scene in soundscapes:
                self.out.write(self._file(scene), self._audio(scene))
            return {"outputs": [self._file(scene) for scene in soundscapes]}
        with tempfile.TemporaryDirectory() as folder:
            local = Store.local(folder)
            for scene in soundscapes:
                local.write(self._file(scene), self._audio(scene))
            clips = tuple(_clip(scene, self._file(scene)) for scene in soundscapes)
            path = Path(folder) / "shard.tar"
            shard = write_shard(local, ShardPlan(name=task["output"], clips=clips), path)
            name = self.out.publish(task["output"], path)
        return {"outputs": [name], "written": shard.stored_as(name).to_json()}

    def _file(self, scene: Soundscape) -> str:
        folder = "" if scene.fold is not None else f"{scene.subset}/"
        return f"{folder}{scene.id}.{self.settings.codec}"

    def _audio(self, scene: Soundscape) -> bytes:
        return render_clip(scene, self.read, self.settings.codec)


def _clip(scene: Soundscape, file: str) -> Clip:
    return to_clip(scene, file) if scene.fold is None else cross_folds.to_clip(scene, file)


def to_clip(scene: Soundscape, file: str) -> Clip:
    """A soundscape with the labels that its subset has."""
    strong = tuple(Event(*event) for event in scene.strong())
    labels = tuple(sorted({event.label for event in strong}))
    return Clip(
        source_id=f"{scene.subset}/{scene.id}",
        audio=file,
        subset=scene.subset,
        recording=None,
        fold=None,
        weak=labels if scene.subset == "weak" else None,
        events=None if scene.subset in ("weak", "unlabeled") else strong,
        meta={},
    )


@stage_function(ALGORITHM_VERSION)
def soundscapes(
    foreground: str,
    background: str | None,
    out: str,
    settings: SoundscapesSettings,
    *,
    inputs: Fingerprints | None = None,
    name: str = "soundscapes",
    fresh: bool = False,
) -> Work:
    """Synthesise soundscapes; returns their URL, which the source `folder` reads.

    Args:
        foreground: folder of event recordings, one sub-folder a class, or as the table says.
        background: folder of backgrounds; None where classes of the foreground folder are.
        out: the folder of the soundscapes.
        settings: classes, splits, counts and scenes.
        inputs: what identifies the recordings, where a stage made them.
        name: of the stage.
        fresh: start over.

    Raises:
        SoundscapeError: no recordings, or no backgrounds.
    """
    folders = {FOREGROUND: absolute(foreground)}
    if background is not None:
        folders[BACKGROUND] = absolute(background)
    if inputs is None:
        identified = {kind: listing_fingerprint(url) for kind, url in folders.items()}
    else:
        identified = {kind: fingerprint() for kind, fingerprint in inputs.items()}

    def work(stage: Stage) -> dict[str, Any]:
        events, backgrounds = _recordings(folders, settings)
        read = RecordingReader(
            {name: store(url) for name, url in folders.items()}, settings.scene.sample_rate_hz
        )
        unusable = Unusable(settings.on_error)
        for kind, url in folders.items():
            folder = store(url)
            unusable.reasons |= {f"{kind}/{name}": why for name, why in dangling_links(folder)}
            for note in unread_notes(folder.names()):
                log.warning("%s: %s", url, note)
        foregrounds = _trimmed(events, settings, read, trim_foreground, unusable)
        scenes_of = _trimmed(backgrounds, settings, read, trim_background, unusable)
        unusable.check(len(events) + len(backgrounds))
        if settings.cross_folds:
            scenes = cross_folds.plan_cross_folds(
                *(settings.scene, settings.counts["weak"], settings.snrs_db),
                *(foregrounds, scenes_of),
            )
        else:
            scenes = plan_subsets(settings.scene, settings.counts, foregrounds, scenes_of)
        size = settings.clips_per_part
        parts = {
            f"{number:05d}": {
                "output": f"{SHARD_FOLDER}/{number:05d}.tar",
                "soundscapes": [scene.to_json() for scene in scenes[start : start + size]],
            }
            for number, start in enumerate(range(0, len(scenes), size))
        }
        arguments = {"folders": folders, "out": out, "settings": settings}
        weights = {name: len(task["soundscapes"]) for name, task in parts.items()}
        done = run_shards(stage, parts, _Renderer, arguments, weights=weights)
        used = [each.recording for split in foregrounds.values() for each in split]
        classes = sorted({recording.label for recording in used})
        if settings.shards:
            written = [WrittenShard.from_json(result["written"]) for result in done]
            write_dataset(
                stage.store,
                [row for shard in written for row in shard.rows],
                name="soundscapes",
                licence="as the recordings",
                classes=classes,
                shards=[shard.entry for shard in written],
            )
        if settings.cross_folds:
            made = {cross_folds.RECIPES: cross_folds.recipes(scenes, settings.codec)}
        else:
            made = tables(scenes, f".{settings.codec}")
        for name, data in made.items():
            stage.store.write(name, data)
        return {
            "clips": len(scenes),
            "classes": classes,
            "recordings": len(events),
            "skipped": [list(each) for each in unusable.reasons.items()],
        }

    return Work(do=work, settings=settings, inputs=identified, summary=_summary)


def _recordings(
    folders: Mapping[str, str], settings: SoundscapesSettings
) -> tuple[list[Recording], list[Recording]]:
    """Recordings of events and of backgrounds."""
    foreground = store(folders[FOREGROUND])
    if settings.source is not None:
        events = _of_source(foreground, settings.source, settings.source_options, FOREGROUND)
    elif settings.table is not None:
        events = recordings_from_csv(
            foreground,
            settings.table,
            FOREGROUND,
            name_rule=settings.name_rule,
            esc10_only=settings.esc10_only,
        )
    else:
        events = class_folders(foreground, FOREGROUND, name_rule=settings.name_rule)
    events, backgrounds = part_backgrounds(events, settings.background_classes)
    if BACKGROUND in folders:
        background = store(folders[BACKGROUND])
        if settings.background_source is not None:
            source, options = settings.background_source, settings.background_source_options
            backgrounds += _of_source(background, source, options, BACKGROUND)
        else:
            backgrounds += class_folders(
                background,
                BACKGROUND,
                name_rule=settings.background_name_rule or settings.name_rule,
                flat_label="background",
            )
    if not events or not backgrounds:
        raise SoundscapeError(
            f"{folders[FOREGROUND]}: got {len(events)} event recordings and {len(backgrounds)} "
            "backgrounds; expected some of each: give a background folder or background classes"
        )
    return events, backgrounds


def _of_source(
    folder: Store, source: str, options: Mapping[str, str], prefix: str
) -> list[Recording]:
    found, notes = recordings_of_source(folder, source, options, prefix)
    for note in notes:
        log.info("%s: %s", prefix, note)
    return found


class Unusable:
    """Recordings that cannot be used, told all at once.

    Args:
        on_error: `skip` leaves them out.
    """

    def __init__(self, on_error: Literal["fail", "skip"]) -> None:
        self._skips = on_error == "skip"
        self.reasons: dict[str, str] = {}  # by the name of a recording

    def check(self, recordings: int) -> None:
        """Tell of those that were found; raise where none may be left out.

        Raises:
            SoundscapeError: there are some.
        """
        if not self.reasons:
            return
        text = told(list(self.reasons.values()))
        if self._skips:
            log.warning("left out %d recordings of %d: %s", len(self.reasons), recordings, text)
            return
        raise SoundscapeError(
            f"{len(self.reasons)} of {recordings} recordings cannot be used: {text}. Mend them, or "
            "leave them out by --on-error skip"
        )


def _trimmed(
    recordings: Sequence[Recording],
    settings: SoundscapesSettings,
    read: RecordingReader,
    trim: Callable[..., Any],
    unusable: Unusable,
) -> dict[str, list[Any]]:
    """Recordings of each split, with their active parts; `unusable` gets those without any.

    Where shares decide, the others are split anew, so that each split has its share of them.
    """
    found: dict[str, Any] = {}
    parts = _split(recordings, settings)
    for recording in (each for members in parts.values() for each in members):
        try:
            found[recording.name] = trim(settings.scene, recording, read)
        except AudioError as error:
            unusable.reasons[recording.name] = str(error)
    by_shares = settings.split_csv is None and not settings.folds
    if unusable.reasons and settings.on_error == "skip" and by_shares:
        parts = _split([r for r in recordings if r.name not in unusable.reasons], settings)
    return {
        split: [found[recording.name] for recording in members if recording.name in found]
        for split, members in parts.items()
    }


def _split(
    recordings: Sequence[Recording], settings: SoundscapesSettings
) -> dict[str, list[Recording]]:
    if settings.split_csv is not None:
        parent, _, name = absolute(settings.split_csv).rpartition("/")
        return split_by_csv(recordings, store(parent).read(name), settings.split_csv)
    if settings.folds:
        folds = {split: list(values) for split, values in settings.folds.items()}
        return split_by_fold(recordings, folds)
    count = settings.cross_folds
    shares = cross_folds.fold_shares(count) if count else settings.shares
    return split_by_source(recordings, shares, settings.scene.seed)


def _summary(result: Mapping[str, Any]) -> str:
    clips, classes = counted(result["clips"], "soundscape"), len(result["classes"])
    recordings = counted(result["recordings"], "recording")
    return f"mixed {clips} of {counted(classes, 'class', 'classes')} from {recordings}"
