"""Recordings for mixing out of a data set in its published layout."""

from shards.io.store import Store
from shards.soundscapes.recordings import FORBIDDEN_IN_LABELS, Recording, RecordingError
from shards.sources import SOURCES, Options


def recordings_of_source(
    store: Store, source: str, options: Options, prefix: str
) -> tuple[list[Recording], list[str]]:
    """The recordings of a source, one class each, and what it tells of itself in lines.

    Args:
        store: its folder.
        source: name of one of `shards.sources.SOURCES`.
        options: of that source.
        prefix: put before each name, with a slash.

    Raises:
        RecordingError: no such source, or clips with several labels or none.
        SourceError: the folder is not as the source expects.
    """
    if source not in SOURCES:
        raise RecordingError(f"source {source!r}: expected one of {', '.join(SOURCES)}")
    listing = SOURCES[source](store, options)
    found, others = [], []
    for clip in listing.clips:
        if clip.weak is None or len(clip.weak) != 1:
            others.append(clip.audio)
            continue
        if FORBIDDEN_IN_LABELS & set(clip.weak[0]):
            raise RecordingError(
                f"{clip.audio}: got the class {clip.weak[0]!r}; expected one without tabs, line "
                "ends and commas"
            )
        found.append(
            Recording(
                name=f"{prefix}/{clip.audio}",
                label=clip.weak[0],
                source=clip.recording or clip.source_id,
                fold=None if clip.fold is None else str(clip.fold),
            )
        )
    if not found:
        raise RecordingError(
            f"{store.root}: none of the {len(listing.clips)} clips of source {source} has one "
            "class; expected a data set of single sounds or scenes"
        )
    notes = list(listing.notes)
    for files, what in (
        (listing.missing, "recordings are listed and not there"),
        (listing.extra, "audio files are in no table: left out"),
        (others, "clips have no class or several: left out"),
    ):
        if files:
            notes.append(f"{len(files)} {what}, such as {files[0]}")
    return sorted(found), notes
