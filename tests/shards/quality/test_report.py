"""Every finding on a dataset that has it, and none on one that is sound."""

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.audio.levels import SCHEMA
from shards.clip import Event
from shards.index import IndexRow
from shards.quality.finding import Finding, Needs
from shards.quality.label_statistics import concurrent_s, count_labels, polyphony
from shards.quality.report import Inspection, distribution, inspect

NEEDS = Needs(encoder="small", sample_rate_hz=16000, hop_s=0.04)
CLASSES = ("cat", "dog")
FINE = {
    "error": None,
    "rms_db": -20.0,
    "peak_db": -3.0,
    "offset": 0.0,
    "clipped_share": 0.0,
    "clipped_run": 1,
    "silent_share": 0.0,
    "zero_share": 0.0,
}


def row(key: str, subset: str = "strong", **changes: Any) -> IndexRow:
    events = (Event(0.5, 1.0, "dog"), Event(0.75, 2.0, "cat")) if subset != "weak" else None
    sound = IndexRow(
        key=key,
        source_id=f"{key}.wav",
        shard="shards/0.tar",
        offset=0,
        size=1,
        codec="wav",
        sample_rate_hz=16000,
        num_samples=160000,
        channels=1,
        checksum=f"sum-{key}",
        crc32=0,
        subset=subset,
        recording=f"recording-{key}",
        fold=None,
        weak=("cat", "dog") if subset == "weak" else None,
        events=None if subset == "unlabeled" else events,
        meta={},
    )
    return replace(sound, **changes)


def run(rows: list[IndexRow], levels: dict[str, dict[str, Any]] | None = None) -> Inspection:
    changes = levels or {}
    table = pa.Table.from_pylist(
        [
            {"key": r.key, "content": f"content-{r.key}", **FINE, **changes.get(r.key, {})}
            for r in reversed(rows)  # in any order
        ],
        schema=SCHEMA,
    )
    return inspect(rows, table, name="data", licence="CC0", classes=CLASSES, needs=NEEDS)


def kinds(found: Inspection) -> dict[str, Finding]:
    return {finding.kind: finding for finding in found.findings}


SOUND = [
    row("a"),
    row("b", "weak"),
    row("u", "unlabeled"),
    row("v", "validation"),
    row("t", "test"),
]


def test_sound_data_has_no_findings() -> None:
    found = run(SOUND)
    assert found.findings == ()
    assert (found.clips, found.hours) == (5, pytest.approx(50 / 3600))
    assert [subset.subset for subset in found.subsets] == sorted(r.subset for r in SOUND)
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "severity", "changed"),
    [
        ("event_outside", "serious", {"events": (Event(9.0, 11.0, "dog"), Event(0, 1, "cat"))}),
        ("event_outside", "serious", {"events": (Event(2.0, 1.0, "dog"), Event(0, 1, "cat"))}),
        ("event_outside", "serious", {"events": (Event(0.0, float("nan"), "dog"),)}),
        ("event_short", "warning", {"events": (Event(0.0, 0.01, "dog"), Event(0, 1, "cat"))}),
        ("event_overlap", "note", {"events": (Event(0, 2, "dog"), Event(1, 3, "dog"))}),
        ("label_unknown", "serious", {"events": (Event(0, 2, "cow"),)}),
        ("label_unknown", "serious", {"events": (Event(0, 2, ""),)}),
        ("label_differs", "warning", {"weak": ("dog",)}),
        ("subset_unlabelled", "warning", {"events": None}),
        ("rate_low", "warning", {"sample_rate_hz": 8000, "num_samples": 80000}),
        ("rate_high", "note", {"sample_rate_hz": 44100, "num_samples": 441000}),
        ("recording_leak", "serious", {"recording": "recording-t"}),
    ],
)
def test_findings_of_the_index(kind: str, severity: str, changed: dict[str, Any]) -> None:
    inspection = run([replace(SOUND[0], **changed), *SOUND[1:]])
    found = kinds(inspection)
    assert found.keys() == {kind}
    assert (found[kind].severity, found[kind].count) == (severity, 1)
    json.dumps(inspection.to_json()["distributions"], allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "severity", "key", "changed"),
    [
        ("silent_labelled", "serious", "a", {"silent_share": 1.0}),
        ("silent", "warning", "u", {"silent_share": 1.0}),
        ("quiet", "warning", "a", {"rms_db": -70.0}),
        ("mostly_silent", "note", "a", {"silent_share": 0.9}),
        ("clipped", "warning", "a", {"clipped_run": 3}),
        ("offset", "warning", "a", {"offset": -0.02}),
        ("duplicate", "warning", "a", {"content": "content-b"}),  # both are trained on
        ("duplicate_leak", "serious", "a", {"content": "content-t"}),
        ("duplicate_leak", "serious", "v", {"content": "content-t"}),
        ("damaged", "serious", "a", dict.fromkeys([*FINE, "content"]) | {"error": "torn"}),
    ],
)
def test_findings_of_the_levels(
    kind: str, severity: str, key: str, changed: dict[str, Any]
) -> None:
    found = kinds(run(SOUND, {key: changed}))
    assert found.keys() == {kind}
    assert (found[kind].severity, found[kind].count) == (severity, 1)


def test_channels_that_cancel_are_no_silence() -> None:
    quiet = {"silent_share": 1.0, "rms_db": -96.0}
    found = kinds(run([row("a", channels=2), row("b")], {"a": quiet, "b": quiet}))
    assert found["silent_mix"].severity == "serious" and found["silent_mix"].count == 1
    assert found["silent_mix"].examples == ("a.wav: -96.0 dBFS, 2 channels",)
    assert found["silent_labelled"].count == 1 and "quiet" not in found
    assert "emove" not in found["silent_mix"].advice


def test_clips_of_zeros_are_no_duplicates_and_damaged_ones_are_compared_by_their_bytes() -> None:
    torn = dict.fromkeys([*FINE, "content"]) | {"error": "torn"}
    twins = [replace(r, checksum="same") for r in SOUND[:2]]
    rows = [*twins, *SOUND[2:]]
    assert "duplicate" in kinds(run(rows, {"a": torn, "b": torn}))
    assert run(SOUND, {"a": {"content": ""}, "t": {"content": ""}}).duplicates == ()


def test_folds_are_kept_apart_and_the_worst_comes_first() -> None:
    weak = [row(k, "weak", fold=f, recording="one") for k, f in (("x", 1), ("y", 2))]
    low = replace(SOUND[0], sample_rate_hz=8000, num_samples=80000)
    found = run([low, *weak])
    assert [f.severity for f in found.findings][:2] == ["serious", "warning"]
    assert found.findings[0].kind == "recording_leak"
    assert "recording_leak" not in kinds(run([replace(r, fold=1) for r in weak]))


def test_classes_without_training_or_use() -> None:
    cats = (Event(0, 1, "cat"),)
    found = kinds(run([replace(SOUND[0], events=cats), SOUND[4]]))
    assert found["class_untrained"].examples == ("dog (1 in test)",)
    assert kinds(run([replace(SOUND[0], events=cats)]))["class_unused"].examples == ("dog",)


def test_one_clip_and_no_labels() -> None:
    found = run([row("only", "unlabeled", recording=None)])
    assert set(kinds(found)) == {"class_unused"}
    assert (found.labels, found.polyphony) == ((), ())
    assert found.subsets[0].recordings is None


def test_levels_must_be_those_of_the_rows() -> None:
    with pytest.raises(ValueError, match="levels of 0 clips for 1"):
        inspect([SOUND[0]], SCHEMA.empty_table(), name="d", licence="", classes=None, needs=NEEDS)


def test_label_counts() -> None:
    counts = {(c.label, c.subset): c for c in count_labels([SOUND[0], SOUND[1]])}
    assert counts["dog", "strong"].seconds == 0.5
    assert counts["cat", "strong"].median_s == 1.25
    assert (counts["dog", "weak"].weak_clips, counts["dog", "weak"].median_s) == (1, None)


def test_polyphony() -> None:
    (found,) = polyphony([SOUND[0]])
    assert found.seconds == pytest.approx((8.5, 1.25, 0.25, 0))
    assert found.share(2) == pytest.approx(0.25 / 1.5)


TIMES = st.floats(-1, 6, allow_nan=False)


@given(st.lists(st.tuples(TIMES, TIMES), max_size=6))
def test_polyphony_adds_up_to_the_clip(times: list[tuple[float, float]]) -> None:
    events = [Event(onset_s, offset_s, "x") for onset_s, offset_s in times]
    found = concurrent_s(events, 5.0)
    assert sum(found) == pytest.approx(5.0)
    assert min(found) >= 0


def test_values_that_are_all_but_equal_have_a_readable_axis() -> None:
    for value in (0.0, 10.0):
        spread = distribution([value, value, value + 1e-6 * value])
        assert spread.edges[0] == pytest.approx(max(0.0, value - 0.5), abs=1e-4)
        assert spread.edges[-1] == pytest.approx(value + 0.5, abs=1e-4)
        assert sum(spread.counts) == 3
    assert distribution([1.0, 2.0]).edges[0] == 1.0
