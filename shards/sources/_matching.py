"""Which audio file a row of a label table means."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from shards.clip import nfc
from shards.sources._tables import SourceError, by_stem, stem
from shards.tables.rows import Row
from shards.tables.wrong_rows import WrongRows

SHOWN = 5
_DRIVE_OR_SCHEME = re.compile(r"[A-Za-z]:(?=/)|[A-Za-z][A-Za-z0-9+.-]+://[^/]*")


class Files:
    """Finds a table's names among audio files, by the rules that people use.

    A name is relative to the root, to the folder of the audio or to that of the table, or it is
    absolute; with either slash; with or without a suffix; in any Unicode spelling. Without folders
    it finds its file in any folder. An absolute path of another machine finds its file by its last
    folders. What fits several files is an error that lists them.

    Args:
        audio: names of the files, relative to the root.
        folder: where the audio of this table lies, relative to the root; "" is the root itself.
        root: the absolute path or URL of the root, where it is known.
        table: the table's own name, relative to the root.
        others: names of other folders of audio: a path that names one means no file here.
    """

    def __init__(
        self,
        audio: Sequence[str],
        folder: str,
        *,
        root: str = "",
        table: str = "",
        others: Collection[str] = (),
    ) -> None:
        self._root = _parts(root)
        self._table = _parts(table)[:-1]
        self._others = frozenset(others)
        self._from_root: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._by_path: dict[tuple[str, ...], list[str]] = defaultdict(list)  # and from the folder
        self._by_base: dict[str, list[str]] = defaultdict(list)
        start = _parts(folder)
        for path, file in by_stem(audio).items():
            parts = _parts(path)
            below = parts[len(start) :] if parts[: len(start)] == start else parts
            self._from_root[parts].append(file)
            for each in {parts, below}:
                self._by_path[each].append(file)
            self._by_base[parts[-1]].append(file)

    def find(self, filename: str) -> str | None:
        """The audio that a name means; None where there is none."""
        name = filename.strip().replace("\\", "/")
        rooted = _DRIVE_OR_SCHEME.match(name)
        parts = _parts(stem(name[rooted.end() :] if rooted else name))
        if not parts:
            return None
        is_absolute = rooted or name.startswith("/")
        found = self._absolute(parts) if is_absolute else self._relative(parts)
        if len(found) > 1:
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise SourceError(
                f"{filename}: names both {' and '.join(found[:SHOWN])}{more}; expected the folder "
                "in the label table too"
            )
        return found[0] if found else None

    def _relative(self, parts: tuple[str, ...]) -> list[str]:
        resolved = _resolved((*self._table, *parts))
        paths = {parts, resolved} if resolved is not None else {parts}
        # as written from a folder above the root, whose name then comes first
        paths |= {
            parts[n:] for n in range(1, len(parts)) if parts[:n] == self._root[-n:] and self._root
        }
        found = {file for path in paths for file in self._by_path.get(path, ())}
        return sorted(found) if found or len(parts) > 1 else sorted(self._by_base.get(parts[0], ()))

    def _absolute(self, parts: tuple[str, ...]) -> list[str]:
        if self._root and parts[: len(self._root)] == self._root:
            return sorted(set(self._from_root.get(parts[len(self._root) :], ())))
        for start in range(len(parts)):
            if start and parts[start - 1] in self._others:
                continue
            if found := self._by_path.get(parts[start:]):
                return sorted(set(found))
        return []


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a path in NFC, without `.`; either slash parts them."""
    plain = nfc(path).replace("\\", "/")
    return PurePosixPath(plain.strip("/")).parts


def _resolved(parts: Sequence[str]) -> tuple[str, ...] | None:
    """A path without `..`; None where it leaves the root."""
    done: list[str] = []
    for part in parts:
        if part != "..":
            done.append(part)
        elif not done:
            return None
        else:
            done.pop()
    return tuple(done)


def named_alike(audio: Iterable[str], names: Iterable[str]) -> list[str]:
    """The audio that has its last part in common with a name: no other can be meant by any.

    So that of a million files those of a table alone are kept in mind.
    """
    lasts = {parts[-1] for name in names if (parts := _parts(stem(name.strip())))}
    if ".." in lasts:  # its last part is another one
        return list(audio)
    return [each for each in audio if _parts(stem(each))[-1] in lasts]


def rows_by_file(
    rows: Iterable[Mapping[str, str]],
    files: Files,
    path: str = "table",
    wrong: WrongRows | None = None,
) -> tuple[dict[str, list[Row]], list[str]]:
    """The rows of each audio file, and the names in the column `filename` that have no audio.

    Raises:
        SourceError: names that are empty or fit several files; all of them in one message, in
            which `path` is what the table is called. Where `wrong` is given, it gets them.
    """
    listed: dict[str, list[Row]] = defaultdict(list)
    missing: dict[str, None] = {}  # a set that keeps its order
    noted = WrongRows(path) if wrong is None else wrong
    for row in map(as_row, rows):
        with noted.noted():
            if not row["filename"]:
                raise SourceError(f"{row.where or path}: got no filename; expected one: correct it")
            file = _found(files, row)
            if file is None:
                missing[row["filename"]] = None
            else:
                listed[file].append(row)
    if wrong is None:
        noted.check()
    return dict(listed), list(missing)


def as_row(cells: Mapping[str, str]) -> Row:
    """Cells as a row, where they are none yet."""
    return cells if isinstance(cells, Row) else Row(cells)


def _found(files: Files, row: Row) -> str | None:
    try:
        return files.find(row["filename"])
    except SourceError as error:
        where = f"{row.where}: " if row.where else ""
        raise SourceError(f"{where}{error}") from error
