"""What is doubtful in a dataset, how much it matters, and what to do about it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.columns import Bools, Columns, bools, numbers
from shards.index import IndexRow
from shards.quality.finding import SEVERITIES, Clips, Finding, Needs, finding_of
from shards.quality.label_checks import event_findings, label_findings
from shards.quality.leakage import SimilarClips
from shards.rows import table_of

Levels = Mapping[str, npt.NDArray[Any]]  # in the order of the rows

CLIPPED_RUN = 3  # samples at full scale in a row: a peak that was scaled to 1 has one or two
SILENT_SHARE = 0.999
MOSTLY_SILENT_SHARE = 0.5
QUIET_DB = -60.0  # RMS
OFFSET = 0.01  # -40 dBFS


def find(
    rows: Iterable[IndexRow],
    levels: Levels,
    errors: pa.Array,
    classes: Sequence[str] | None,
    needs: Needs,
    copies: Sequence[SimilarClips],
    shared: Sequence[SimilarClips],
) -> list[Finding]:
    """All findings, the most serious first; arguments as in `shards.quality.report.inspect`."""
    table = table_of(rows)
    found = [
        *_damaged(table, errors),
        *_leaks(copies, shared),
        *_levels(table, levels),
        *event_findings(table, needs),
        *label_findings(table, classes),
        *_rates(table, needs),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _damaged(table: pa.Table, errors: pa.Array) -> Iterator[Finding]:
    yield from finding_of(
        "serious",
        "damaged",
        "Clips that cannot be read or decoded",
        "Restore the shards, or pack again with --on-error skip; pmam verify tells more.",
        Clips(
            np.flatnonzero(bools(errors.is_valid())),
            lambda n: f"{table['source_id'][n]}: {errors[n]}",
        ),
    )


def _leaks(copies: Sequence[SimilarClips], shared: Sequence[SimilarClips]) -> Iterator[Finding]:
    def named(leaks: bool) -> list[str]:
        groups = (group for group in copies if group.leaks == leaks)
        return [f"{', '.join(group.clips)} ({', '.join(group.subsets)})" for group in groups]

    yield from finding_of(
        "serious",
        "duplicate_leak",
        "The same audio, sample for sample, in subsets or folds that must differ",
        "Keep each in one subset: what is trained on must not be tested on.",
        named(leaks=True),
    )
    yield from finding_of(
        "serious",
        "recording_leak",
        "Source recordings with clips in subsets or folds that must differ",
        "Split by recording: clips of one recording sound alike, and scores come out too high.",
        [f"{group.of} ({', '.join(group.subsets)})" for group in shared if group.leaks],
    )
    yield from finding_of(
        "warning",
        "duplicate",
        "The same audio more than once, sample for sample",
        "Remove all but one, or be sure that training should see them more often.",
        named(leaks=False),
    )


def _levels(table: pa.Table, levels: Levels) -> Iterator[Finding]:
    silent = levels["silent_share"] >= SILENT_SHARE  # NaN, for damaged clips, is neither
    several = numbers(table["channels"]) > 1
    cancelled, silent = silent & several, silent & ~several
    labelled = Columns(table).labelled()

    def clips(chosen: Bools, of: str, form: str) -> Clips:
        return Clips(
            np.flatnonzero(chosen),
            lambda n: f"{table['source_id'][n]}: {form.format(levels[of][n])}",
        )

    yield from finding_of(
        "serious",
        "silent_mix",
        "Clips of several channels whose mean, which models hear, is silent from start to end",
        "Listen to single channels: those of opposite phase cancel each other. Pack again with "
        "--channel loudest, or left, right, each.",
        Clips(
            np.flatnonzero(cancelled),
            lambda n: (
                f"{table['source_id'][n]}: {levels['rms_db'][n]:.1f} dBFS, "
                f"{table['channels'][n]} channels"
            ),
        ),
    )
    yield from finding_of(
        "serious",
        "silent_labelled",
        "Labelled clips that are silent from start to end",
        "Look for recordings that were replaced by silence; correct the labels or remove them.",
        clips(silent & labelled, "rms_db", "{:.1f} dBFS"),
    )
    yield from finding_of(
        "warning",
        "silent",
        "Unlabelled clips that are silent from start to end",
        "Remove them if nobody meant them to be: they teach nothing.",
        clips(silent & ~labelled, "rms_db", "{:.1f} dBFS"),
    )
    yield from finding_of(
        "warning",
        "quiet",
        f"Clips whose level is below {QUIET_DB:g} dBFS, but not silent",
        "Compare their gain with the others': models trained on louder clips may miss them.",
        clips(~silent & ~cancelled & (levels["rms_db"] < QUIET_DB), "rms_db", "{:.1f} dBFS"),
    )
    yield from finding_of(
        "note",
        "mostly_silent",
        "Clips of which more than half is silent",
        "Recordings that were padded to one length? Trim them if their labels have no times.",
        clips(
            ~silent & ~cancelled & (levels["silent_share"] > MOSTLY_SILENT_SHARE),
            "silent_share",
            "{:.0%} silent",
        ),
    )
    yield from finding_of(
        "warning",
        "clipped",
        f"Clipped clips ({CLIPPED_RUN} or more samples in a row at full scale)",
        "Record at a lower level next time; models cope, but amplitudes there are wrong.",
        clips(levels["clipped_run"] >= CLIPPED_RUN, "clipped_run", "{:.0f} samples in a row"),
    )
    yield from finding_of(
        "warning",
        "offset",
        f"Clips with a constant offset above {OFFSET:g} of full scale",
        "Remove it with a high-pass filter at a few hertz before packing.",
        clips(np.abs(levels["offset"]) > OFFSET, "offset", "{:+.4f}"),
    )


def _rates(table: pa.Table, needs: Needs) -> Iterator[Finding]:
    rates_hz = numbers(table["sample_rate_hz"])
    for rate_hz in np.unique(rates_hz).tolist():
        what = f"Clips at {rate_hz} Hz, where {needs.encoder} works at {needs.sample_rate_hz} Hz"
        clips = Clips(np.flatnonzero(rates_hz == rate_hz), lambda n: str(table["source_id"][n]))
        if rate_hz < needs.sample_rate_hz:
            yield from finding_of(
                "warning",
                "rate_low",
                f"{what}: they hold nothing above {rate_hz // 2} Hz",
                "Find the original recordings, or take an encoder of a lower rate.",
                clips,
            )
        elif rate_hz > needs.sample_rate_hz:
            yield from finding_of(
                "note",
                "rate_high",
                f"{what}: they are resampled at each reading, which loses nothing it could use",
                f"Nothing; pack with --sample-rate-hz {needs.sample_rate_hz} --codec flac if "
                "reading is what training waits for.",
                clips,
            )
