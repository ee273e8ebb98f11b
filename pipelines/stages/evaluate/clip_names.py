"""Which clip of the truth an output means: names with and without folders and suffixes."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from pipelines.runtime.errors import PipelineError
from shards.audio.decoding import AUDIO_SUFFIXES
from shards.clip import escape_key, nfc


def plain(name: str) -> str:
    """A clip's name in NFC, with `/` between folders, without the suffix of an audio file."""
    name = nfc(name.strip()).replace("\\", "/").removeprefix("./").strip("/")
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in AUDIO_SUFFIXES else name


class ClipNames:
    """Finds the clips of a truth by the names that outputs give them.

    A name fits with or without the suffix of an audio file, in any Unicode spelling, and as the key
    of a packed clip; without its folders where no other clip has the same last part.

    Args:
        ids: the clips' names in the truth.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._whole: dict[str, str] = {}
        self._last: dict[str, list[str]] = defaultdict(list)
        for clip in ids:
            for name in (plain(clip), escape_key(clip), escape_key(plain(clip))):
                if self._whole.setdefault(name, clip) != clip:
                    raise PipelineError(
                        f"truth: the clips {self._whole[name]!r} and {clip!r} have one name "
                        "without their suffixes; expected names that differ: rename one"
                    )
            self._last[PurePosixPath(plain(clip)).name].append(clip)

    def find(self, name: str) -> str | None:
        """The clip of a name; None where there is none.

        Raises:
            PipelineError: several clips fit.
        """
        name = plain(name)
        if name in self._whole:
            return self._whole[name]
        found = self._last.get(PurePosixPath(name).name, [])
        if len(found) > 1:
            raise PipelineError(
                f"{name!r} is the name of {len(found)} clips of the truth, such as {found[0]!r} "
                f"and {found[1]!r}; expected their folders in the names of the output, too"
            )
        return found[0] if found else None
