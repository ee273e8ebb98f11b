"""What lies in a folder of recordings and is not read: told, never passed over."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from shards.errors import told
from shards.io.store import Store
from shards.sources._tables import is_audio, is_hidden

# Of label tables, annotations, recipes and what people write about their data; which of them a
# source uses it tells itself.
TEXT_SUFFIXES = (
    ".bib", ".csv", ".eaf", ".htm", ".html", ".jams", ".json", ".jsonl", ".md", ".parquet", ".pdf",
    ".rst", ".rttm", ".svl", ".textgrid", ".tsv", ".txt", ".xml", ".yaml", ".yml",
)  # fmt: skip
TEXT_NAMES = ("authors", "changelog", "citation.cff", "copying", "licence", "license", "readme")
SHOWN_KINDS = 12


def unread_notes(names: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """How many files are neither audio nor text, by suffix, and how many recordings are hidden.

    Nothing where there are none. `._NAME` is what macOS notes of a file NAME, and no recording.

    Args:
        names: of all files of a folder, relative to it.
        known: further suffixes of files that are read, in lower case.
    """
    ends = (*TEXT_SUFFIXES, *known)
    counts: Counter[str] = Counter()
    hidden: list[str] = []
    for name in names:
        path = PurePosixPath(name)
        plain = name.lower()
        if is_hidden(name) and is_audio(name) and not path.name.startswith("._"):
            hidden.append(name)
        if is_hidden(name) or is_audio(name) or plain.endswith(ends):
            continue
        if path.name.lower() not in TEXT_NAMES:
            counts[path.suffix or "without suffix"] += 1
    notes = []
    if hidden:
        notes.append(
            f"hidden recordings, left out: {len(hidden)} ({told(sorted(hidden))}); where they are "
            "meant, rename them to begin with no dot"
        )
    if not counts:
        return notes
    most = counts.most_common()
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in most[:SHOWN_KINDS])
    more = sum(count for _, count in most[SHOWN_KINDS:])
    rest = f", {more} of other kinds" if more else ""
    return [
        *notes,
        f"files of kinds that are not read: {counts.total()} ({kinds}{rest}); where they are "
        "recordings, convert them",
    ]


def dangling_links(store: Store) -> list[tuple[str, str]]:
    """Links of a folder that lead nowhere, and what is wrong with each; hidden ones aside."""
    return [
        (name, f"{store.path(name)}: a link that leads nowhere (to {target}); restore what it "
         "names, or remove the link")
        for name, target in store.dangling_links()
        if not is_hidden(name)
    ]  # fmt: skip
