"""What can be chosen of new labels, without what carries it out."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RelabelSettings:
    """How a new label set goes over a dataset."""

    # What to do with clips that the label table does not list: take their labels away, keep them,
    # or leave the clips out.
    others: Literal["unlabel", "keep", "drop"] = "unlabel"
    # What to do with labels that the mapping does not list: fail, keep them, or take them away.
    unmapped: Literal["fail", "keep", "drop"] = "fail"
    # Subset of the clips that the label table lists; by default as before.
    subset: str | None = None
    # Classes of the new dataset; by default all labels that there are, or as before where none
    # changed.
    classes: tuple[str, ...] | None = None
