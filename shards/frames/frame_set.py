"""The files of frames of one stage, read as one collection."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from shards.errors import FrameError
from shards.frames.reader import FrameFile
from shards.frames.sparse8 import Floats
from shards.io.store import Store


class FrameSet:
    """The files of one stage as one collection, in the order of their names."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        if not names:
            raise FrameError(f"{store.root}: got no frame files; expected at least one")
        self.files = [FrameFile.open(store, name) for name in names]
        self.spec = self.files[0].spec
        self._file_of: dict[str, FrameFile] = {}
        for file in self.files:
            if file.spec != self.spec:
                raise FrameError(
                    f"{file.path}: got {file.spec}; expected {self.spec} as in {self.files[0].path}"
                )
            for key in file.keys:
                if key in self._file_of:
                    raise FrameError(
                        f"{file.path}: holds {key}, which {self._file_of[key].path} holds too; "
                        "expected each clip once"
                    )
                self._file_of[key] = file

    def __len__(self) -> int:
        return len(self._file_of)

    def __contains__(self, key: object) -> bool:
        return key in self._file_of

    def __iter__(self) -> Iterator[str]:
        return iter(self._file_of)

    def count(self, key: str) -> int:
        """How many frames a clip has; `ValueError` where no file has it."""
        return self._find(key).count(key)

    def read(self, key: str, first: int = 0, stop: int | None = None) -> Floats:
        """As `FrameFile.read`; `ValueError` where no file has the clip."""
        return self._find(key).read(key, first, stop)

    def positions(self, key: str) -> npt.NDArray[np.int32] | None:
        """The grid indices `(n,)` of a clip's frames, or None where all frames were kept."""
        return self._find(key).positions(key)

    def release(self) -> None:
        """Let go of the batch that each file keeps, and of mapped pages: of many files they add up.

        To be called now and then by who reads all files one after the other.
        """
        for file in self.files:
            file.release()

    def _find(self, key: str) -> FrameFile:
        if key not in self._file_of:
            raise FrameError(
                f"{key}: is in none of {len(self.files)} frame files from {self.files[0].path} on"
            )
        return self._file_of[key]
