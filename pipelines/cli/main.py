"""The command line: `pmam COMMAND ...`; errors end it with one line and status 2."""

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence

import tyro

from pipelines.cli.types import REGISTRY
from pipelines.runtime.errors import user_error
from pipelines.runtime.files.room import named_room
from pipelines.runtime.lines import set_up_logging, show_error

# Command: where its function is, and what it does. Modules load when their command is called.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:demo", "Run everything on a small synthetic set, in minutes."),
    "run": ("run:run", "Run everything by a preset or a configuration file."),
    "soundscapes": ("stages:soundscapes", "Mix recordings into labelled soundscapes."),
    "pack": ("stages:pack", "Pack audio and labels into indexed shards."),
    "reindex": ("data.reindex:reindex", "Index, relabel, merge, filter: no audio moves."),
    "inspect": ("data.inspect:inspect", "Look for what is doubtful in a dataset."),
    "verify": ("data.verify:verify", "Check a dataset, every byte of it, and repair it."),
    "embed": ("stages:embed", "Compute frame embeddings of a dataset."),
    "fit": ("stages:fit", "Fit prototypes to embeddings."),
    "label": ("stages:label", "Compute the prototypes' posteriors of each frame."),
    "prototypes": ("results.prototypes:prototypes", "Tell what each prototype is: labels, sounds."),
    "pretrain": ("models.training:pretrain", "Train a masked audio model on the posteriors."),
    "finetune": (
        "models.training:finetune",
        "Train a detector on few labels, with a mean teacher.",
    ),
    "train-weak": ("models.weak:train_weak", "Train on weak labels alone, fold by fold (MTL)."),
    "weak-figures": ("models.weak:weak_figures", "Draw attention and reconstruction of clips."),
    "score": ("stages:score", "Compute a detector's frame scores of a dataset."),
    "report": ("results.report:report", "Show what runs found: a page to look at and hear."),
    "evaluate": ("stages:evaluate", "Compare scores with strong labels: PSDS, F1, AP."),
    "detect": ("recordings.detect:detect", "Find events in any audio file."),
    "convert": ("data.convert:convert", "Convert annotations from any format to others."),
    "video": ("recordings.video:video", "Show a recording and what is detected in it, as a film."),
    "tag": ("recordings.words:tag", "Tell AudioSet tags of windows of recordings."),
    "classify": ("recordings.words:classify", "Find events and scenes by your own words (TMRL)."),
    "attention": ("recordings.words:attention", "Draw where M2D looks in recordings."),
    "checkpoint": ("models.checkpoint:checkpoint", "Show or convert models, ours and others'."),
    "import": ("models.imports:import_", "Take over what others published: prototypes, log-mel."),
    "clean": ("results.clean:clean", "Shrink a finished run to its results and records."),
    "submit": ("jobs.submit:submit", "Run a command on a cluster, and follow its log."),
    "jobs": ("jobs.sent:jobs", "List, follow, stop or resume jobs of a cluster."),
}


# The line below the traceback of an error that nobody foresaw.
A_BUG = (
    "pmam: this is a bug in pmam, not a mistake of yours; please report it with the lines above, "
    "the command, and what `pmam --version` says"
)


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: pmam COMMAND [OPTIONS]",
            "",
            "From a pile of mostly unlabelled audio to a sound-event detector.",
            "",
            "commands:",
            *lines,
            "",
            "Start with `pmam demo`. `pmam COMMAND --help` tells the options of a command, and",
            "`pmam --version` the versions of pmam, Ray and torch.",
            "Paths may be local or URLs such as s3://bucket/folder; credentials come from the",
            "environment. PMAM_TRACEBACK=1 shows where an error came from; PMAM_RETRY_S is for how",
            "many seconds a failing server is asked again (120).",
        ]
    )


def versions() -> str:
    """Versions of what decides results and clusters, a line each; nothing is imported for it."""
    from importlib.metadata import PackageNotFoundError, version  # slow to load

    lines = []
    for package in ("pmam", "ray", "torch"):
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # a copy of the files on PYTHONPATH
            lines.append(f"{package} is not installed as a package: its version is not known")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    set_up_logging()
    if not given or given[0] in ("-h", "--help"):
        print(usage())  # noqa: T201 - this is what was asked for
        raise SystemExit(0 if given else 2)
    if given[0] == "--version":
        print(versions())  # noqa: T201 - as above
        return
    name, *rest = given
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`pmam --help` lists them"
        show_error(f"no command {name!r}; {hint}")
        raise SystemExit(2)
    try:
        _load(COMMANDS[name][0])(rest)
    except KeyboardInterrupt:
        show_error("interrupted; the same command goes on from what is whole")
        raise SystemExit(130) from None
    except BrokenPipeError:  # `pmam detect ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except Exception as error:
        cause = user_error(error)
        if cause is None:
            error.add_note(A_BUG)
            raise
        if os.environ.get("PMAM_TRACEBACK"):
            raise
        show_error(named_room(cause, rest))
        raise SystemExit(2) from None


def _load(where: str) -> Callable[[Sequence[str]], None]:
    module, name = where.split(":")
    function = getattr(importlib.import_module(f"pipelines.cli.{module}"), name)

    def call(arguments: Sequence[str]) -> None:
        if getattr(function, "parses_itself", False):
            function(arguments)
        else:
            tyro.cli(
                function,
                prog=f"pmam {name}",
                args=arguments,
                config=(tyro.conf.AvoidSubcommands,),
                registry=REGISTRY,
            )

    return call


if __name__ == "__main__":  # a module that does nothing would look like a success
    main()
