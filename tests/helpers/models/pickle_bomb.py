"""A pickle that runs code when it is read: nothing of ours may set it off."""

import os
from pathlib import Path
from typing import Any


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)
