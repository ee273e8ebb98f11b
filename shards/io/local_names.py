"""Names on the local disk that are not UTF-8, which pyarrow cannot list."""

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
