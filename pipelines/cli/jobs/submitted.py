"""A command that is to run elsewhere: read here, as far as it can be, and refused early."""

import difflib
import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tyro

from cluster.submit.checks import SubmitError
from pipelines.cli.run import parsed_run
from pipelines.cli.types import REGISTRY
from pipelines.presets.demand import crews_of, pools_of
from pipelines.runtime.workers.crew import Crew
from pipelines.runtime.workers.pool import Pool

HERE_ONLY = ("submit", "jobs", "demo")
WITH_KINDS = ("reindex", "import", "checkpoint")  # their first word is no path
OUTPUTS = ("--out", "--output-dir")


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What is known of a command without running it."""

    words: tuple[str, ...]
    paths: tuple[str, ...]  # words that may name something on this machine
    new: tuple[str, ...]  # words that name what it reads or makes, whatever they look like
    out: str | None  # where its results are
    crews: Mapping[str, Crew] = field(default_factory=dict)  # of trainings and fits, by setting
    pools: Mapping[str, Pool] = field(default_factory=dict)  # of the other stages


def read_command(words: Sequence[str], commands: Mapping[str, tuple[str, str]]) -> Submitted:
    """Read the command of a job: `run --preset ...`.

    Args:
        words: after the `--`.
        commands: of pmam: where each one's function is.

    Raises:
        SubmitError: there is none, or not one for another machine.
        SystemExit: its options are wrong, which has been printed.
    """
    if not words:
        raise SubmitError("no command; expected `pmam submit [OPTIONS] -- run --preset ...`")
    name, *rest = words
    if name == "pmam":
        return read_command(rest, commands)
    if name not in commands or name in HERE_ONLY:
        known = [command for command in commands if command not in HERE_ONLY]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
        raise SubmitError(f"{name!r} is no command for a cluster; {hint}")
    if any(word.partition("=")[0] == "--address" for word in rest):
        raise SubmitError("--address after the `--`: the job joins the cluster that it runs on")
    options = {*rest} & {"-h", "--help", "--help-all"}
    if options:
        raise SubmitError(f"{options.pop()} after the `--`: ask `pmam {name} --help`")
    crews: dict[str, Crew] = {}
    pools: dict[str, Pool] = {}
    if name == "run":
        _, parsed = parsed_run(rest)
        crews, pools = crews_of(parsed.settings), pools_of(parsed.settings)
    elif name not in WITH_KINDS:
        _check_options(name, rest, commands[name][0])
    skipped = 1 if name in WITH_KINDS else 0
    positional = tuple(_until_option(rest)[skipped:])
    outputs = tuple(value for option in OUTPUTS if (value := _value(rest, option)) is not None)
    if name == "run" and not outputs:
        raise SubmitError(
            "run without --out: its folder would go with the job; give --out s3://bucket/folder"
        )
    out = outputs[0] if outputs else positional[-1] if len(positional) > 1 else None
    return Submitted(
        words=(name, *rest),
        paths=tuple(word.partition("=")[2] or word for word in rest if not word.startswith("--")),
        new=(*positional, *outputs),
        out=out,
        crews=crews,
        pools=pools,
    )


def _check_options(name: str, words: Sequence[str], where: str) -> None:
    """Parse as the command would; what is wrong is printed, with status 2."""
    module, function_name = where.split(":")
    function = getattr(importlib.import_module(f"pipelines.cli.{module}"), function_name)

    @functools.wraps(function)
    def nothing(*_: object, **__: object) -> None:
        return None

    tyro.cli(
        nothing,
        prog=f"pmam {name}",
        args=list(words),
        config=(tyro.conf.AvoidSubcommands,),
        registry=REGISTRY,
    )


def _until_option(words: Sequence[str]) -> list[str]:
    found = []
    for word in words:
        if word.startswith("-"):
            break
        found.append(word)
    return found


def _value(words: Sequence[str], option: str) -> str | None:
    for index, word in enumerate(words):
        if word == option and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None
