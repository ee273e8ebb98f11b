"""The data doctor: what a dataset holds, and what is wrong with it, as table, JSON and page."""

import json
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from cluster.storage.urls import absolute
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import DATASET, checked
from pipelines.runtime.files.urls import join, open_dataset, store
from pipelines.runtime.lines import print_line, print_result
from pipelines.runtime.tables import output, print_rows
from pipelines.runtime.workers.reach import joined

if TYPE_CHECKING:
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
) -> "Inspection":
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


def _print(found: "Inspection") -> None:
    print_rows(
        f"{found.clips} clips, {found.hours:.3f} hours",
        ("subset", "clips", "hours", "with events", "with weak labels", "events"),
        [
            (
                row.subset,
                str(row.clips),
                f"{row.hours:.3f}",
                *map(str, (row.strong, row.weak, row.events)),
            )
            for row in found.subsets
        ],
    )
    shown = ("min", "median", "max")
    print_rows(
        "measures",
        ("", *shown),
        [
            (name, *(f"{spread.quantiles[of]:.4g}" for of in shown))
            for name, spread in found.distributions.items()
        ],
    )
    console = output()
    for form in found.formats:
        print_line(
            f"{form.clips} clips: {form.codec}, {form.sample_rate_hz} Hz, {form.channels} channels"
        )
    for finding in found.findings:
        colour = COLOURS[finding.severity]
        console.print(f"[{colour}]{finding.severity}:[/] {_plain(finding.what)}: {finding.count}")
        for example in finding.examples[:SHOWN]:
            print_line(f"    {example}")
        if finding.count > SHOWN:
            print_line(f"    ... and {finding.count - SHOWN} more")
        print_line(f"  -> {finding.advice}")


def _plain(text: str) -> str:
    """Text of the dataset in which rich finds no markup."""
    return text.replace("[", r"\[")
