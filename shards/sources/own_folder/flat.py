"""A folder without subsets: recordings as people have them, annotations beside some of them.

    ROOT/day1.wav   ROOT/day1.txt       strong, for training, validation or test
    ROOT/dog/a.wav                      weak: the class of its folder
    ROOT/b.wav                          unlabelled

A folder is a class where none of its recordings is annotated, unless its name says nothing, as
`audio` and `recordings` do.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

from shards.clip import Clip
from shards.io.store import Store
from shards.sources._tables import Options, SourceError, SourceListing, by_stem, classes_of, stem
from shards.sources.own_folder.annotations import annotations_below
from shards.sources.own_folder.splits import split_clips
from shards.tables.cells import label_of

PLAIN = frozenset(
    {"audio", "audios", "clips", "data", "files", "flac", "mp3", "ogg", "recording", "recordings"}
    | {"samples", "sounds", "wav", "wavs"}
)
ALIKE = 0.9  # a folder's name that is so near to that of a subset is a slip, most likely


def flat(
    store: Store, options: Options, audio: Sequence[str], subsets: Mapping[str, str]
) -> SourceListing:
    """List the clips of a folder whose folders are no subsets.

    Args:
        store: the folder.
        options: `seed`, and the shares of `validation` and `test`.
        audio: its recordings.
        subsets: names of folders that would be subsets, and which they are.

    Raises:
        SourceError: an option, or the name of a folder, that does not fit.
    """
    found = annotations_below(store, audio)
    by_stem(audio)
    groups: dict[str, list[str]] = defaultdict(list)
    for file in audio:
        unlabelled = subsets.get(PurePosixPath(file).parts[0]) == "unlabeled"
        groups["" if unlabelled else _group(file)].append(file)
    clips, loose = list[Clip](), list[str]()
    classes: Counter[str] = Counter()
    for name, files in groups.items():
        if name == "" or any(file in found.events for file in files):
            loose += files
            continue
        if name.lower() in subsets or get_close_matches(name.lower(), subsets, 1, ALIKE):
            raise SourceError(
                f"{store.root}: got audio in the folder {name!r}; expected a class, or a folder "
                f"named {', '.join(subsets)}: rename it, or move class folders into weak/"
            )
        label = label_of(name, store.path(name))
        classes[label] += len(files)
        clips += [
            Clip(source_id=stem(file), audio=file, subset="weak", weak=(label,)) for file in files
        ]
    more, notes = split_clips(sorted(loose), found.events, options)
    clips += more
    notes = [*found.notes, *notes]
    if classes:
        counted = ", ".join(f"{label} ({count})" for label, count in sorted(classes.items()))
        notes.append(f"weak labels from the names of folders: {counted}")
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=found.missing,
        notes=tuple(notes),
        unusable=found.unusable,
    )


def _group(file: str) -> str:
    """The folder of a recording that may be its class; empty for none."""
    folders = list(PurePosixPath(file).parts[:-1])
    while folders and folders[0].lower() in PLAIN:
        del folders[0]
    return folders[0] if folders else ""
