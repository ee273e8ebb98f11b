"""soundscapes: labelled mixtures from recordings of single events and of backgrounds."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from cluster.storage.urls import absolute
from pipelines.runtime.declared import Fingerprints, Work, stage_function
from pipelines.runtime.files.urls import join, store
from pipelines.runtime.stage import Stage, listing_fingerprint
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import run_shards
from pipelines.stages.settings import SoundscapesSettings
from pipelines.stages.soundscapes.recordings import (
    BACKGROUND,
    FOREGROUND,
    Unusable,
    recordings_of,
    trimmed,
)
from pipelines.stages.soundscapes.rendering import Renderer
from shards.io.store import Store
from shards.manifest import SHARD_FOLDER, write_dataset
from shards.packing.writer import WrittenShard
from shards.soundscapes import cross_folds
from shards.soundscapes.plan import plan_subsets, trim_background, trim_foreground
from shards.soundscapes.render import RecordingReader, tables
from shards.sources._unread import dangling_links, unread_notes

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1
OWN = "recordings"  # the folder of those that are synthesised
LABELS = "metadata/"  # what files of audio are packed with
log = logging.getLogger("pmam")


@stage_function(ALGORITHM_VERSION)
def soundscapes(
    foreground: str | None,
    background: str | None,
    out: str,
    settings: SoundscapesSettings,
    *,
    inputs: Fingerprints | None = None,
    synthesise: Callable[[Store], object] | None = None,
    name: str = "soundscapes",
    fresh: bool = False,
) -> Work:
    """Synthesise soundscapes; returns their URL, which the source `folder` reads.

    Args:
        foreground: folder of event recordings, one sub-folder a class, or as the table says; None
            where they are synthesised.
        background: folder of backgrounds; None where classes of the foreground folder are.
        out: the folder of the soundscapes.
        settings: classes, splits, counts and scenes.
        inputs: what identifies the recordings that are synthesised.
        synthesise: writes recordings to a folder, as `foreground/...` and `background/...`; they
            are kept until they are mixed.
        name: of the stage.
        fresh: start over.

    Raises:
        SoundscapeError: no recordings, or no backgrounds.
    """
    own = join(out, OWN)
    folders = {FOREGROUND: join(own, "foreground") if foreground is None else absolute(foreground)}
    if foreground is None:
        folders[BACKGROUND] = join(own, "background")
    elif background is not None:
        folders[BACKGROUND] = absolute(background)
    if inputs is None:
        identified = {kind: listing_fingerprint(url) for kind, url in folders.items()}
    else:
        identified = {kind: fingerprint() for kind, fingerprint in inputs.items()}

    def work(stage: Stage) -> dict[str, Any]:
        if synthesise is not None:
            synthesise(store(own))
        events, backgrounds = recordings_of(folders, settings)
        read = RecordingReader(
            {name: store(url) for name, url in folders.items()}, settings.scene.sample_rate_hz
        )
        unusable = Unusable(settings.on_error)
        for kind, url in folders.items():
            folder = store(url)
            unusable.reasons |= {f"{kind}/{name}": why for name, why in dangling_links(folder)}
            for note in unread_notes(folder.names()):
                log.warning("%s: %s", url, note)
        foregrounds = trimmed(events, settings, read, trim_foreground, unusable)
        scenes_of = trimmed(backgrounds, settings, read, trim_background, unusable)
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
        done = run_shards(stage, parts, Renderer, arguments, weights=weights)
        used = [each.recording for split in foregrounds.values() for each in split]
        classes = sorted({recording.label for recording in used})
        if settings.shards:
            written = [WrittenShard.from_json(result["written"]) for result in done]
            write_dataset(
                stage.store,
                [row for shard in written for row in shard.rows],
                name=settings.name,
                licence=settings.licence,
                classes=classes,
                shards=[shard.entry for shard in written],
            )
        if settings.cross_folds:
            made = {cross_folds.RECIPES: cross_folds.recipes(scenes, settings.codec)}
        else:
            made = tables(scenes, f".{settings.codec}")
        if settings.shards:  # whose index has the labels
            made = {name: data for name, data in made.items() if not name.startswith(LABELS)}
        for name, data in made.items():
            stage.store.write(name, data)
        return {
            "clips": len(scenes),
            "classes": classes,
            "recordings": len(events),
            "skipped": [list(each) for each in unusable.reasons.items()],
        }

    return Work(do=work, settings=settings, inputs=identified, summary=_summary, working=(OWN,))


def _summary(result: Mapping[str, Any]) -> str:
    clips, classes = counted(result["clips"], "soundscape"), len(result["classes"])
    recordings = counted(result["recordings"], "recording")
    return f"mixed {clips} of {counted(classes, 'class', 'classes')} from {recordings}"
