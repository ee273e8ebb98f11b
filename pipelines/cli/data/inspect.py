"""The data doctor: what a dataset holds, and what is wrong with it, as table, JSON and page."""

import json
from typing import Annotated

import tyro
from rich.table import Table
from tyro.conf import FlagCreatePairsOff, Positional

from cluster.storage.filesystems import absolute
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import DATASET, checked
from pipelines.runtime.files.urls import join, open_dataset, store
from pipelines.runtime.tables import output, print_result
from pipelines.runtime.workers.reach import joined
from shards.quality.report import Inspection

JSON, PAGE, MEASURED = "inspect.json", "inspect.html", "measured"
SHOWN = 3  # examples of a finding on the terminal
COLOURS = {"serious": "red", "warning": "yellow", "note": "dim"}


def inspect(
    dataset: Positional[Annotated[str, tyro.conf.arg(metavar="DATASET")]],
    out: str | None = None,
    encoder: str = "small_cnn",
    sounds: int = 6,
    page_mb: float = 20.0,
    strict: FlagCreatePairsOff[bool] = False,
    address: str | None = None,
    fresh: FlagCreatePairsOff[bool] = False,
) -> None:
    """Look at a packed dataset: levels, duplicates, labels, leakage, and what is doubtful.

    Writes inspect.json, inspect.html, and the levels of each clip to measured/levels/*.parquet.

    Args:
        dataset: Folder of the dataset.
        out: Folder of what is written; by default beside the dataset, with -inspect at the end.
        encoder: Encoder whose sample rate and frames the clips are compared with.
        sounds: Number of clips of each finding that can be heard and seen in the page.
        page_mb: Largest size of the page; sounds beyond it are left out.
        strict: End with status 1 where a finding is serious.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Measure all clips again.
    """
    out = out or f"{dataset.rstrip('/')}-inspect"
    if sounds < 0 or page_mb <= 0:
        raise PipelineError(
            f"--sounds {sounds} --page-mb {page_mb}: expected 0 or more, and above 0"
        )
    found = _inspect(dataset, out, encoder, address, fresh, (sounds, page_mb))
    _print(found)
    print_result(join(absolute(out), PAGE))
    if strict and found.serious:
        raise SystemExit(1)


def _inspect(
    dataset_url: str,
    out: str,
    encoder: str,
    address: str | None,
    fresh: bool,
    bounds: tuple[int, float],
) -> Inspection:
    reads = checked((DATASET, dataset_url))
    from pipelines.stages.inspect.measure import levels_of, measure_levels
    from pipelines.stages.inspect.page import page
    from pipelines.stages.inspect.sounds import heard
    from pmam.encoders.registry import build_encoder
    from pmam.encoders.settings import EncoderSettings
    from shards.quality.finding import Needs
    from shards.quality.report import inspect

    built = build_encoder(EncoderSettings(name=encoder))
    needs = Needs(encoder=encoder, sample_rate_hz=built.sample_rate_hz, hop_s=built.hop_s)
    with joined(address, reads=reads, writes=(out,)):
        out = absolute(out)
        levels = levels_of(measure_levels(dataset_url, join(out, MEASURED), fresh=fresh))
    dataset = open_dataset(absolute(dataset_url))
    manifest = dataset.manifest
    found = inspect(
        dataset.rows,
        levels,
        name=manifest.name,
        licence=manifest.licence,
        classes=manifest.classes,
        needs=needs,
    )
    text = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    store(out).write(JSON, text.encode())
    sounds, page_mb = bounds
    clips = heard(dataset, found.findings, sounds, int(page_mb * 1e6))
    store(out).write(PAGE, page(found, clips).encode())
    return found


def _print(found: Inspection) -> None:
    console = output()
    subsets = Table(title=f"{found.clips} clips, {found.hours:.3f} hours", title_justify="left")
    subsets.add_column("subset")
    for name in ("clips", "hours", "with events", "with weak labels", "events"):
        subsets.add_column(name, justify="right")
    for row in found.subsets:
        counts = (row.strong, row.weak, row.events)
        subsets.add_row(_plain(row.subset), str(row.clips), f"{row.hours:.3f}", *map(str, counts))
    console.print(subsets)
    measures = Table(title="measures", title_justify="left")
    measures.add_column("")
    for name in ("min", "median", "max"):
        measures.add_column(name, justify="right")
    for name, spread in found.distributions.items():
        quantiles = (spread.quantiles[of] for of in ("min", "median", "max"))
        measures.add_row(name, *(f"{value:.4g}" for value in quantiles))
    console.print(measures)
    for form in found.formats:
        console.print(
            f"{form.clips} clips: {form.codec}, {form.sample_rate_hz} Hz, {form.channels} channels"
        )
    for finding in found.findings:
        colour = COLOURS[finding.severity]
        console.print(f"[{colour}]{finding.severity}:[/] {_plain(finding.what)}: {finding.count}")
        for example in finding.examples[:SHOWN]:
            console.print(f"    {example}", markup=False)
        if finding.count > SHOWN:
            console.print(f"    ... and {finding.count - SHOWN} more", markup=False)
        console.print(f"  -> {finding.advice}", markup=False)


def _plain(text: str) -> str:
    """Text of the dataset in which rich finds no markup."""
    return text.replace("[", r"\[")
