"""The names of a tagger's outputs: AudioSet's 527 classes, or those of a file.

`audioset.csv` is AudioSet's list of classes (Google, CC BY 4.0). EfficientAT and PaSST have them in
the order of its rows; M2D in the order of their ids, as strings.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pmam.errors import InputError

Order = Literal["rows", "ids"]
TABLE = Path(__file__).parent / "audioset.csv"


@dataclass(frozen=True, kw_only=True)
class AudioSetClass:
    """One class: its row in the list, its id in Freebase, and its name."""

    row: int
    mid: str
    name: str


@cache
def audioset_classes(order: Order = "rows") -> tuple[AudioSetClass, ...]:
    """AudioSet's classes in the order of the list's rows, or of their ids."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        classes = [
            AudioSetClass(row=int(row["index"]), mid=row["mid"], name=row["display_name"])
            for row in csv.DictReader(file)
        ]
    return tuple(classes if order == "rows" else sorted(classes, key=lambda each: each.mid))


def class_names(outputs: int, order: Order, given: Sequence[str] = ()) -> tuple[str, ...]:
    """The name of each output of a tagger; `given` ones come before those of AudioSet.

    Raises:
        InputError: a tagger of another head, without names; or as many names as it has no outputs.
    """
    if given:
        if len(given) != outputs:
            raise InputError(
                f"got {len(given)} class names for a tagger of {outputs} outputs; expected one "
                "name for each output, in their order"
            )
        return tuple(given)
    known = audioset_classes(order)
    if outputs != len(known):
        raise InputError(
            f"a tagger of {outputs} outputs without class names (AudioSet has {len(known)}); give "
            "--classes, a file with one name a line, in the order of the outputs"
        )
    return tuple(each.name for each in known)
