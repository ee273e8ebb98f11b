"""Stages as functions: what a stage is made of stands in its signature; the rest is here, once.

A stage's function takes URLs whose kinds are told by their types, its settings, and `out`, `name`
and `fresh`. It says what to do as `Work`. Decorated by `stage_function`, it makes URLs absolute,
takes their fingerprints, runs the work unless it was done before, and returns the URL of what it
made.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any, ParamSpec, get_args, get_type_hints

from cluster.storage.urls import absolute
from pipelines.runtime.files.inputs import CHECKPOINT, DATASET, FOLDER, PROTOTYPES, STAGE, Kind
from pipelines.runtime.stage import Stage, Summary, brief, run_stage

P = ParamSpec("P")


DatasetUrl = Annotated[str, DATASET]
CheckpointUrl = Annotated[str, CHECKPOINT]
PrototypesUrl = Annotated[str, PROTOTYPES]
StageUrl = Annotated[str, STAGE]
FolderUrl = Annotated[str, FOLDER]
# Of what a source was made of, where a listing of it says too little; asked when they are needed.
Fingerprints = Mapping[str, Callable[[], str]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a stage does, and what identifies it besides the inputs in its signature."""

    # Returns what to record; called again after a kill, it goes on from what is whole.
    do: Callable[[Stage], Mapping[str, Any]]
    settings: Any  # a dataclass: those that change the output
    inputs: Mapping[str, str] = field(default_factory=dict)  # fingerprints by name
    summary: Summary = brief  # of what is recorded, in a few words: what was done
    reopen: bool = False  # go on where it is finished: some of it can be made better now
    working: tuple[str, ...] = ()  # folders by which it goes on after a kill; removed at its end


@dataclass(frozen=True)
class NoSettings:
    """Nothing can be chosen."""


# Where it is set, stages only tell their names and folders.
_TOLD: ContextVar[dict[str, str] | None] = ContextVar("told", default=None)


@contextlib.contextmanager
def told_only() -> Iterator[dict[str, str]]:
    """Stages called in here do nothing; their folders by their names, in the order of the calls."""
    told: dict[str, str] = {}
    token = _TOLD.set(told)
    try:
        yield told
    finally:
        _TOLD.reset(token)


def is_told_only() -> bool:
    """Whether stages do nothing here, so that nothing of theirs can be read."""
    return _TOLD.get() is not None


def stage_function(version: int) -> Callable[[Callable[P, Work]], Callable[P, str]]:
    """Make a stage of a function that prepares its work.

    The decorated function has the same parameters and returns the URL of what the stage made. Its
    parameters `out`, `name` and `fresh` are the folder, the name in the run, and whether to start
    over. It raises what `run_stage` raises.

    Args:
        version: the stage's algorithm version.
    """

    def declare(prepare: Callable[P, Work]) -> Callable[P, str]:
        signature = inspect.signature(prepare)
        kinds = _kinds(prepare)

        @functools.wraps(prepare)
        def call(*args: P.args, **kwargs: P.kwargs) -> str:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            given["out"] = out = absolute(given["out"])
            if (told := _TOLD.get()) is not None:
                told[given["name"]] = out
                return out
            urls = {name: absolute(given[name]) for name in kinds if given[name] is not None}
            given.update(urls)
            inputs = {name: kinds[name].fingerprint(url) for name, url in urls.items()}
            work = prepare(*bound.args, **bound.kwargs)
            run_stage(
                given["name"],
                out,
                work.do,
                settings=work.settings,
                inputs={**inputs, **work.inputs},
                version=version,
                summary=work.summary,
                fresh=given["fresh"],
                reopen=work.reopen,
                working=work.working,
            )
            return out

        return call

    return declare


def _kinds(function: Callable[..., Any]) -> dict[str, Kind]:
    """The kind of each parameter that is a URL of an input, or may be one."""
    found = {}
    for name, hint in get_type_hints(function, include_extras=True).items():
        for part in (hint, *get_args(hint)):
            for mark in getattr(part, "__metadata__", ()):
                if isinstance(mark, Kind):
                    found[name] = mark
    return found
