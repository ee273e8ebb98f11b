"""PSDS of tables of any library, next to that of sed_scores_eval."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pmam.errors import InputError
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2
from pmam.metrics.table_scores import psds

CLASSES = ("cat", "dog")
TRUTH: dict[str, list[tuple[float, float, str]]] = {
    "a": [(0.5, 2.0, "dog"), (1.0, 1.5, "cat"), (4.0, 5.0, "dog")],
    "b": [(3.0, 4.5, "cat")],
    "c": [],
}


def columns(seed: int, clip: str = "c") -> dict[str, Any]:
    """Scores that know of the truth, with noise."""
    generator = np.random.default_rng(seed)
    edges = np.round(np.arange(0, 6.01, 0.25), 6)
    scores = {name: generator.random(len(edges) - 1).round(3) for name in CLASSES}
    for onset_s, offset_s, label in TRUTH[clip]:
        scores[label][(edges[:-1] >= onset_s) & (edges[1:] <= offset_s)] += 0.6
    return {"onset": edges[:-1], "offset": edges[1:], **scores}


SCORES = {clip: columns(seed, clip) for seed, clip in enumerate("abc")}


def test_any_table_gives_the_same() -> None:
    expected = psds(SCORES, TRUTH).value
    assert 0 < expected < psds(SCORES, TRUTH, settings=PSDS2).value
    assert psds({clip: pa.table(table) for clip, table in SCORES.items()}, TRUTH).value == expected
    longer = psds(SCORES, TRUTH, dict.fromkeys("abc", 12.0)).value
    assert longer >= expected  # fewer false positives an hour


def test_as_sed_scores_eval() -> None:
    reference = pytest.importorskip(
        "sed_scores_eval.intersection_based", reason="the group peers is not installed"
    )
    pandas = pytest.importorskip("pandas", reason="the group peers is not installed")
    tables = {clip: pandas.DataFrame(table) for clip, table in SCORES.items()}
    for settings in (PSDS1, PSDS2):
        expected, *_ = reference.psds(
            tables,
            TRUTH,
            dict.fromkeys("abc", 6.0),
            dtc_threshold=settings.dtc,
            gtc_threshold=settings.gtc,
            cttc_threshold=settings.cttc,
            alpha_ct=settings.alpha_ct,
            alpha_st=settings.alpha_st,
            max_efpr=settings.e_max,
        )
        assert psds(tables, TRUTH, settings=settings).value == pytest.approx(expected, abs=1e-9)


def test_tables_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="expected onset, offset and the classes"):
        psds({"a": {"dog": [0.5], "onset": [0.0], "offset": [1.0]}}, {"a": []})
    other = {name.replace("dog", "cow"): column for name, column in columns(1).items()}
    with pytest.raises(InputError, match=r"clip 'b': got the classes cat, cow; expected those"):
        psds({"a": columns(0), "b": other}, {"a": [], "b": []})
    with pytest.raises(InputError, match="row for each frame"):
        psds({"a": {"onset": [0, 2], "offset": [1, 3], "dog": [0.1, 0.2]}}, {"a": []})
    with pytest.raises(InputError, match="clip 'c' of the ground truth is missing"):
        psds({clip: SCORES[clip] for clip in "ab"}, TRUTH)
