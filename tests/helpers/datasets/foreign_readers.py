"""The two commands that read foreign tars, and what each makes of one."""

from pathlib import Path
from typing import Any, NamedTuple

from foreign_cases import write_tar

from shards.editing.foreign import index_shard
from shards.editing.foreign_rules import ForeignSettings
from shards.io.store import Store
from shards.sources.webdataset import webdataset


class Read(NamedTuple):
    """What a reader makes of a tar."""

    clips: dict[str, tuple]
    left_out: dict[str, str]  # reasons by key
    unused: dict[str, int]


def by_reindex(path: Path, **rules: Any) -> Read:
    with path.open("rb") as file:
        shard = index_shard(
            file, "x.tar", "shards/x.tar", ForeignSettings(**rules, on_error="skip")
        )
    clips = {
        row.source_id: (row.subset, row.weak, row.events, row.recording, row.fold, row.meta)
        for row in shard.rows
    }
    return Read(clips, dict(shard.skipped), dict(shard.unused))


def by_pack(path: Path, **rules: Any) -> Read:
    listing = webdataset(Store.local(path.parent), rules)
    clips = {
        clip.source_id: (clip.subset, clip.weak, clip.events, clip.recording, clip.fold, clip.meta)
        for clip in listing.clips
    }
    left_out = {name.partition("!")[2] or "x.tar": why for name, why in listing.unusable}
    left_out |= {name.partition("!")[2]: "no audio member" for name in listing.missing}
    counts = [note.split() for note in listing.notes if note.endswith(" not used")]
    return Read(clips, left_out, {words[2][1:]: int(words[0]) for words in counts})


def both(tmp_path: Path, members: list[tuple[str, Any]], **rules: Any) -> Read:
    path = write_tar(tmp_path / "tars" / "x.tar", members)
    one, other = by_reindex(path, **rules), by_pack(path, **rules)
    assert one.clips == other.clips
    assert one.unused == other.unused
    assert set(one.left_out) >= set(other.left_out)
    return one
