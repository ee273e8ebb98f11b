"""Commands that have kinds, each with options of its own: `pmam reindex merge`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tyro


def command_of_kinds(
    prog: str, about: str, kinds: Mapping[str, Callable[..., Any]]
) -> Callable[[Sequence[str]], None]:
    """A command that calls the kind which its first argument names; without one it shows its help.

    Args:
        prog: how its help calls it.
        about: what it does, in a sentence.
        kinds: functions whose parameters are options, by the name of the kind.
    """

    def command(arguments: Sequence[str]) -> None:
        tyro.extras.subcommand_cli_from_dict(
            dict(kinds), prog=prog, description=about, args=[*arguments] or ["--help"]
        )

    command.__doc__ = about
    command.parses_itself = True  # type: ignore[attr-defined]
    return command
