"""The recordings that soundscapes are made of: found, split, and those that cannot be used told."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from cluster.storage.urls import absolute
from pipelines.runtime.files.urls import store
from pipelines.stages.settings import SoundscapesSettings
from shards.audio.errors import AudioError
from shards.errors import told
from shards.io.store import Store
from shards.soundscapes import cross_folds
from shards.soundscapes.of_source import recordings_of_source
from shards.soundscapes.recordings import (
    Recording,
    class_folders,
    part_backgrounds,
    recordings_from_csv,
    split_by_csv,
    split_by_fold,
    split_by_source,
)
from shards.soundscapes.render import RecordingReader
from shards.soundscapes.scene import SoundscapeError

log = logging.getLogger("pmam")

FOREGROUND, BACKGROUND = "foreground", "background"


def recordings_of(
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


def trimmed(
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
