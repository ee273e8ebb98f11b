"""`pmam run --help`: the options that most people set, with the defaults of the preset at hand.

`--help-all` lists every option there is.
"""

from dataclasses import field, fields, make_dataclass
from functools import partial
from typing import Annotated, Any, get_type_hints

import tyro

from pipelines.cli.comments import comment_of
from pipelines.cli.types import REGISTRY

# Of all settings of a run, by dotted name.
COMMON = (
    "data",
    "dataset",
    "encoder.name",
    "encoder.weights",
    "iterations",
    "fit.k",
    "pretrain.training.optimizer.steps",
    "finetune.training.optimizer.steps",
    "finetune.training.crop_s",
    "finetune.training.batch",
    "finetune.training.workers",
    "baseline",
)
# A paragraph each, of one line at 80 columns.
ABOUT = (
    "Run everything: pack, embed, fit, label, pretrain, finetune, score, evaluate.",
    "Settings come from a preset or a file, and single ones from options.",
    "Killed, the same command goes on; what is done already is kept.",
    "These are the options that most people set; `--help-all` lists all of them.",
)


def print_help(arguments: Any) -> None:
    """Print the short help.

    Args:
        arguments: a `RunArguments` with the defaults in force.
    """
    owner = type(arguments)
    own = [(f.name, owner, f.name, arguments) for f in fields(owner) if f.name != "settings"]
    nested = [(name, *_found(arguments.settings, name)) for name in COMMON]
    shown = make_dataclass(
        "Run",
        [
            (
                shown_as.replace(".", "_"),
                Annotated[
                    get_type_hints(cls, include_extras=True)[name],
                    tyro.conf.arg(
                        name=shown_as,
                        help=comment_of(cls, name),
                        metavar=_metavar(get_type_hints(cls)[name]),
                    ),
                ],
                field(default_factory=partial(getattr, of, name)),
            )
            for shown_as, cls, name, of in own + nested
        ],
        kw_only=True,
    )
    tyro.cli(
        shown,
        prog="pmam run",
        description="\n\n".join(ABOUT),
        args=["--help"],
        config=(tyro.conf.AvoidSubcommands,),
        registry=REGISTRY,
    )


def _metavar(hint: Any) -> str | None:
    """What stands for a text that may be absent; None: as usual."""
    return "TEXT" if hint == str | None else None


def _found(settings: Any, dotted: str) -> tuple[type, str, Any]:
    """The class that declares a setting, the setting's name there, and the object that holds it."""
    *path, name = dotted.split(".")
    for step in path:
        settings = getattr(settings, step)
    return type(settings), name, settings
