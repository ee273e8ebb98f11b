"""Names on the local disk that pyarrow does not list: not UTF-8, or links that lead nowhere."""

import os


def by_encoding(folder: str) -> tuple[list[tuple[str, int]], list[str]]:
    """The files of a folder: those of UTF-8 names with their sizes, and the others as text.

    Names are relative to the folder and sorted; in the others, bytes that are no UTF-8 are written
    as `\\xe9`. A link that leads nowhere is left out, as in other lists.
    """
    plain: list[tuple[str, int]] = []
    odd: list[str] = []
    root = os.fsencode(folder)
    for parent, _, files in os.walk(root, followlinks=True):
        for name in files:
            path = os.path.join(parent, name)  # noqa: PTH118  # pathlib has no paths of bytes
            shown = os.path.relpath(path, root)
            try:
                plain.append((shown.decode(), os.stat(path).st_size))  # noqa: PTH116
            except UnicodeDecodeError:
                odd.append(shown.decode(errors="backslashreplace"))
            except FileNotFoundError:
                continue
    return sorted(plain), sorted(odd)


def dangling_links(folder: str) -> list[tuple[str, str]]:
    """Links that lead nowhere, by name relative to the folder, and where each should lead."""
    found: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()  # folders, as links may lead back
    waiting = [os.fsencode(folder)]
    while waiting:
        parent = waiting.pop()
        try:
            at = os.stat(parent)  # noqa: PTH116  # pathlib has no paths of bytes
            entries = list(os.scandir(parent))
        except OSError:
            continue  # whoever lists the folder says so
        if (at.st_dev, at.st_ino) in seen:
            continue
        seen.add((at.st_dev, at.st_ino))
        for entry in entries:
            if entry.is_dir():
                waiting.append(entry.path)
            elif entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
                name = os.path.relpath(entry.path, os.fsencode(folder))
                target = os.readlink(entry.path)  # noqa: PTH115
                found.append((_shown(name), _shown(target)))
    return sorted(found)


def _shown(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
