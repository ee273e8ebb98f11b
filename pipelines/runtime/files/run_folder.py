"""The folder of a run, in which each stage has one of its own."""

from dataclasses import dataclass
from typing import TypedDict

from pipelines.runtime.files.urls import join


class Place(TypedDict):
    """Where a stage writes, and what it is called in the run."""

    out: str
    name: str


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run."""

    url: str

    def at(self, name: str, folder: str | None = None) -> Place:
        """The place of a stage, whose folder is called as the stage unless it says otherwise."""
        return Place(out=join(self.url, folder or name), name=name)
