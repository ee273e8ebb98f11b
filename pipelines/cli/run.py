"""The command `run`: a preset or a file, any setting of it, and what came out."""

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff

from cluster.storage.urls import absolute
from pipelines.cli.run_help import print_help
from pipelines.cli.run_start import default_folder, resolved, starting_settings, value_of
from pipelines.cli.types import REGISTRY
from pipelines.presets import PRESETS
from pipelines.presets.ablations import ablated
from pipelines.presets.demand import check_demand
from pipelines.presets.settings import RunSettings
from pipelines.runtime.files.folders import absent_folders, delete_all, remove_empty
from pipelines.runtime.files.set_aside import ASIDE, sweep
from pipelines.runtime.files.urls import join, store
from pipelines.runtime.lines import print_line
from pipelines.runtime.stage import Command, commanded
from pipelines.runtime.workers.reach import joined
from pmam.settings import SettingsError, to_json

if TYPE_CHECKING:
    from shards.io.store import Store

CONFIG, REPORT, HELP_ALL = "run.json", "report", "--help-all"


@dataclass(frozen=True, kw_only=True)
class RunArguments:
    """Run everything: pack, embed, fit, label, pretrain, finetune, score, evaluate.

    Settings come from a preset or a file, and any of them from the command line. The same
    command goes on where it was killed, and skips what is done already. Where settings or inputs
    are others than those of what is there, it says which, and changes nothing.
    """

    # Settings to start from: demo (synthetic sounds, minutes), esc10 (soundscapes of ESC-10),
    # own_data (your recordings, a pretrained encoder; half an hour of them takes ten minutes on two
    # cores), own_data-scratch (your recordings, without a download), words (your recordings without
    # labels: --words.events names what to find), paper (PMAM on DESED as published) or paper-0.75
    # (with the paper's mask rate).
    preset: str = "demo"
    # Variant of the preset that differs in one setting: kmeans, infonce, cross-entropy,
    # softmax-cross-entropy, focal, label-smoothing, no-mask, mask-0.5, k-10, iterations-3 ...
    ablation: str | None = None
    # File run.json of an earlier run to repeat, instead of a preset.
    config: str | None = None
    # Folder of the run; by default one below runs/ that is named after the settings.
    out: str | None = None
    # Address of a Ray cluster; by default Ray runs on this machine.
    address: str | None = None
    # Stage to do again, such as score or fit-1, with all behind it; what they made before is set
    # aside, in folders beside.
    redo: str | None = None
    # Delete all that the run's folder holds, and start over.
    fresh: FlagCreatePairsOff[bool] = False
    # Check the settings and paths, print all settings as JSON, and stop.
    dry_run: FlagCreatePairsOff[bool] = False
    # Settings of the stages.
    settings: Annotated[RunSettings, tyro.conf.arg(name="")] = field(default_factory=RunSettings)


def run(arguments: Sequence[str]) -> None:
    """Run everything, as a command line says."""
    preset, parsed = parsed_run(arguments)
    execute(preset, parsed.settings, parsed)


def parsed_run(arguments: Sequence[str]) -> tuple[str, RunArguments]:
    """The preset and all that a command line says of a run; nothing is run.

    Parses twice: first what the settings start from, then all of them.
    """
    arguments = list(arguments)
    preset, settings = starting_settings(arguments)
    ablation = value_of(arguments, "--ablation")
    if ablation is not None:
        varied = ablated(settings, ablation)
        preset, settings = (preset if varied == settings else f"{preset}-{ablation}"), varied
    start = RunArguments(preset=preset, ablation=ablation, settings=settings)
    if {"-h", "--help"} & {*arguments}:
        print_help(start)
    return preset, tyro.cli(
        RunArguments,
        prog="pmam run",
        args=["--help" if argument == HELP_ALL else argument for argument in arguments],
        default=start,
        config=(tyro.conf.AvoidSubcommands,),
        registry=REGISTRY,
    )


run.parses_itself = True  # type: ignore[attr-defined]


@contextlib.contextmanager
def _configured(folder: "Store", text: bytes) -> Iterator[None]:
    """Write the run's configuration: with the first stage, and anew when all went through.

    A run that is refused so leaves the configuration of what is there, and one that could not
    begin leaves no folder.
    """
    absent = absent_folders(folder)

    def begin() -> None:
        if folder.size(CONFIG) is None:
            folder.write(CONFIG, text)

    redo, to_elsewhere = "`pmam run ... --redo {stage}`", "give another --out"
    command = Command(
        begin=begin,
        redo=redo,
        elsewhere=f"{to_elsewhere}, or do it again with {redo}, which sets what is there aside; "
        "--fresh deletes the whole run",
    )
    is_new = folder.size(CONFIG) is None
    try:
        with commanded(command):
            yield
    except BaseException:
        if is_new and folder.names() == [CONFIG]:
            folder.clear()
            remove_empty(absent)
        raise
    folder.write(CONFIG, text)
    sweep(folder, CONFIG)


def execute(preset: str, settings: RunSettings, arguments: RunArguments) -> str | None:
    """Run, and print the numbers and where everything is; returns its folder, if anything ran."""
    if arguments.redo is not None:
        _check_redo(settings, arguments.redo, fresh=arguments.fresh)
    settings = resolved(preset, settings)
    from pipelines.presets.validate import check_run
    from pipelines.report.contents import ALONE, main_arm
    from pipelines.run import run as run_stages

    check_run(settings)
    data: dict[str, Any] = {"preset": preset, "settings": to_json(settings)}
    text = json.dumps(data, indent=1)
    if arguments.dry_run:
        sys.stdout.write(text + "\n")
        return None
    given = arguments.out or default_folder(preset, settings)
    out = absolute(given)
    reads = (settings.data, settings.dataset, settings.prototypes, settings.posteriors)
    weights = settings.encoder.weights
    if weights is not None:
        _fetch_weights(weights, preset)
    with joined(arguments.address, reads=(*reads, weights), writes=(given,)):
        check_demand(settings)
        folder = store(out)
        if arguments.fresh and folder.size(CONFIG) is not None:
            delete_all(folder, CONFIG)
        with _configured(folder, text.encode()):
            result = run_stages(settings, out, redo=arguments.redo)
    from pipelines.report.write import write_report
    from pipelines.runtime.tables import print_numbers

    for subset in result.numbers:
        arms = {main_arm(settings): result.numbers[subset]}
        if result.baseline is not None:
            arms = {ALONE: result.baseline[subset], **arms}
        print_numbers(subset, arms)
    report = write_report([out], join(out, REPORT), cards_too=True)
    _print_end(report, result.detector, out)
    return out


def _fetch_weights(weights: str, preset: str) -> None:
    """Have the weights that the encoder starts from, before hours are spent on what comes first.

    Raises:
        SettingsError: they cannot be downloaded; it says what to do.
    """
    from cluster.storage.download import FetchError
    from pipelines.inference.weights import OURS, weights_file

    if weights.endswith(OURS):
        return
    try:
        weights_file(weights)
    except FetchError as error:
        if "://" not in weights:
            raise
        scratch = f"{preset}-scratch"
        without = f"; or take --preset {scratch}, which needs none" if scratch in PRESETS else ""
        raise SettingsError(
            f"{error}. The encoder starts from these weights: download {weights} where that works, "
            f"and give the file as --encoder.weights FILE{without}"
        ) from error


def _check_redo(settings: RunSettings, stage: str, *, fresh: bool) -> None:
    """Refuse a stage that the run does not have, before anything else is looked at."""
    from pipelines.run import stages
    from pipelines.runtime.redo import from_stage

    from_stage(stages(settings), stage)
    if fresh:
        raise SettingsError("--redo and --fresh: expected one of them")


def _print_end(report: str, detector: str, out: str) -> None:
    """Where the report, the detector and the pictures are, and what to do next."""
    folder = store(out)
    names = [name for name in folder.names() if ASIDE not in name]
    pictures = [name for name in names if name.endswith(".png")]
    fits = [int(found[1]) for name in names if (found := re.match(r"fit-(\d+)/stage\.json$", name))]
    # Below `uv run` nothing else has put pmam on the path.
    program = "uv run pmam" if "UV_RUN_RECURSION_DEPTH" in os.environ else "pmam"
    lines = [f"report    {report}", f"detector  {detector}"]
    lines += [f"picture   {join(out, name)}" for name in pictures]
    lines += [f"run       {out}", "next"]
    lines += [f"  {program} detect FILE --checkpoint {shlex.quote(detector)}"]
    dataset = join(out, "dataset")
    if fits and folder.size("dataset/dataset.json") is not None:
        fit = shlex.quote(join(out, f"fit-{max(fits)}"))
        lines += [
            f"  {program} prototypes {fit} --dataset {shlex.quote(dataset)} --out prototypes-page"
        ]
    else:
        lines += [f"  {program} checkpoint show {shlex.quote(detector)}"]
    config = shlex.quote(join(out, CONFIG))
    lines += [f"  {program} run --config {config} --out {shlex.quote(out)}"]
    for line in lines:
        print_line(line)
