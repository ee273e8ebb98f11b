"""Which audio file a row of a label table means."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from shards.sources._tables import Row, SourceError, by_stem, stem


class Files:
    """Finds a table's names among the audio of a folder, whatever the suffix."""

    def __init__(self, audio: Sequence[str], name: str) -> None:
        self._by_path = {
            path.removeprefix(f"{name}/"): file for path, file in by_stem(audio).items()
        }
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for path, file in self._by_path.items():
            self._by_base[PurePosixPath(path).name].append(file)

    def find(self, filename: str) -> str | None:
        """The audio of a name with or without its folders; None where there is none."""
        wanted = stem(filename)
        if wanted in self._by_path:
            return self._by_path[wanted]
        files = self._by_base.get(wanted, [])
        if len(files) > 1:
            raise SourceError(
                f"{filename}: names both {files[0]} and {files[1]}; expected the folder in the "
                "label table too"
            )
        return files[0] if files else None


def rows_by_file(rows: Iterable[Row], files: Files) -> tuple[dict[str, list[Row]], list[str]]:
    """The rows of each audio file, and the names in the column `filename` that have no audio."""
    listed: dict[str, list[Row]] = defaultdict(list)
    missing: dict[str, None] = {}  # a set that keeps its order
    for row in rows:
        file = files.find(row["filename"])
        if file is None:
            missing[row["filename"]] = None
        else:
            listed[file].append(row)
    return dict(listed), list(missing)
