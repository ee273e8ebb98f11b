"""What a fit cannot use is told in one line: which clip, what was expected, what to do."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fit_cases
import numpy as np
import pytest
from frame_cases import without_checksums

from pipelines.cli.main import main
from pipelines.cli.types import numbers
from pipelines.runtime.stage import record_of
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.stage import fit

CLIPS, WIDTH = 6, 4
SETTINGS = FitSettings(k=2, pca=None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fit_cases.write_dataset(tmp_path_factory.mktemp("errors"), CLIPS)


def rows(dataset: str, width: int = WIDTH, count: int = 40) -> dict[str, fit_cases.Floats]:
    keys = fit_cases.keys(dataset)
    return {key: fit_cases.frames_of(count, width, 2, seed=n) for n, key in enumerate(keys)}


@pytest.mark.parametrize(
    ("which", "value"), [(0, np.nan), (1, -np.inf), *((n, np.inf) for n in range(CLIPS))]
)
def test_frames_that_are_no_numbers_are_named(
    dataset: str, tmp_path: Path, which: int, value: float
) -> None:
    """In any clip, kept aside or not.

    The writer refuses them, so bytes are changed on disk, in a file that is too old for checksums.
    """
    good = rows(dataset)
    key = list(good)[which]
    mark = np.float32(12345.678)
    good[key][17, 2] = mark
    embedded = fit_cases.write_stage(tmp_path / "embed", [good])
    file = tmp_path / "embed" / "frames" / "0.arrow"
    without_checksums(file)
    data = file.read_bytes()
    assert data.count(mark.tobytes()) == 1
    file.write_bytes(data.replace(mark.tobytes(), np.float32(value).tobytes()))
    with pytest.raises(ValueError, match=f"^{key}: frame 17 .* NaN or infinity; .* embed it again"):
        fit(dataset, embedded, str(tmp_path / "out"), SETTINGS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 201}, "got 200 for 201 components; expected at least as many frames"),
        ({"k": (2, 500)}, "got 200 for 500 components"),
        ({"pca": 9}, "PCA: got 9 dimensions of D = 4; expected 1..4"),
        ({"kind": "kmeans", "k": 201}, "got 200 for 201"),
        ({"subsets": ("strong",)}, "no embeddings of clips of strong; embed these subsets"),
    ],
)
def test_what_the_frames_cannot_give(
    dataset: str, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    embedded = fit_cases.write_stage(tmp_path / "embed", [rows(dataset)])
    with pytest.raises(ValueError, match=message) as refused:
        fit(dataset, embedded, str(tmp_path / "out"), replace(SETTINGS, **changes))
    assert "\n" not in str(refused.value)


def test_files_of_different_width(dataset: str, tmp_path: Path) -> None:
    narrow, wide = rows(dataset), rows(dataset, width=WIDTH + 1)
    first = dict(list(narrow.items())[:3])
    second = dict(list(wide.items())[3:])
    embedded = fit_cases.write_stage(tmp_path / "embed", [first])
    fit_cases.write_stage(tmp_path / "other", [second], "embed")
    file = Path(embedded) / "frames" / "1.arrow"
    file.write_bytes((tmp_path / "other" / "frames" / "0.arrow").read_bytes())
    record = Path(embedded) / "stage.json"
    outputs = '"frames/0.arrow"'
    text = record.read_text().replace(outputs, f'{outputs}, "frames/1.arrow"', 1)
    record.write_text(text)
    with pytest.raises(ValueError, match=r"1\.arrow: got .*width=5.*; expected .*width=4"):
        fit(dataset, embedded, str(tmp_path / "out"), SETTINGS)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_dimensions_that_never_change(
    dataset: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, covariance: str
) -> None:
    """They fit, and a complaint tells what they do to the likelihood; PCA leaves them out."""
    still = {key: x * [1, 0, 1, 0] + [0, 700, 0, 0] for key, x in rows(dataset).items()}
    embedded = fit_cases.write_stage(tmp_path / "embed", [still])
    settings = replace(SETTINGS, covariance=covariance)
    with caplog.at_level(logging.WARNING, "pmam"):
        out = fit(dataset, embedded, str(tmp_path / "out"), settings)
    assert "bad fit, constant: 2 of 4 dimensions" in caplog.text
    assert "reduce by PCA to at most 2" in caplog.text
    found = record_of(out)["result"]
    assert found["in_use"] == 2
    caplog.clear()
    out = fit(dataset, embedded, str(tmp_path / "reduced"), replace(settings, pca=2))
    assert "constant" not in caplog.text
    assert record_of(out)["result"]["in_use"] == 2
    fit(dataset, embedded, str(tmp_path / "more"), replace(settings, pca=3))
    assert "constant: 1 of 3 dimensions" in caplog.text


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "constant: 4 of 8 dimensions"),
        ({"covariance": "diag"}, None),  # which sees none of it
        ({"kind": "kmeans"}, None),  # which has no likelihood
        ({"regularisation": 1e6}, "constant: 8 of 8 .* lower the regularisation"),
    ],
)
def test_dimensions_that_follow_from_others(
    dataset: str, tmp_path: Path, changes: dict[str, object], complaint: str | None
) -> None:
    doubled = {key: np.concatenate([x, 2 * x], axis=1) for key, x in rows(dataset).items()}
    embedded = fit_cases.write_stage(tmp_path / "embed", [doubled])
    out = fit(dataset, embedded, str(tmp_path / "out"), replace(SETTINGS, **changes))
    told = " ".join(record_of(out)["result"]["complaints"])
    assert re.search(complaint, told) if complaint else "constant" not in told


@pytest.mark.parametrize(
    "make",
    [
        lambda: FitSettings(k=0),
        lambda: FitSettings(k=()),
        lambda: FitSettings(k=(3, 3)),
        lambda: FitSettings(held_out=0.0),
        lambda: FitSettings(iterations=0),
        lambda: FitSettings(workers=-1),
        lambda: FitSettings(temperature=0.0),
        lambda: FitSettings(kind="kmeans", pca=8, temperature=2.0),
        lambda: FitSettings(kind="kmeans", pca="auto"),
    ],
)
def test_settings_that_make_no_sense(make: Callable[[], FitSettings]) -> None:
    with pytest.raises(ValueError, match=r"got .*; expected "):
        make()


def test_numbers_on_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert numbers("30") == 30
    assert numbers("10,20, 30") == (10, 20, 30)
    for text in ("", "a", "1,,2", "1;2", "2.5"):
        with pytest.raises(ValueError, match="expected numbers such as 30 or 10,20,30"):
            numbers(text)
    with pytest.raises(SystemExit):
        main(["fit", "d", "e", "o", "--k", "ten"])
    assert "expected numbers such as 30 or 10,20,30" in " ".join(capfd.readouterr().err.split())


def test_a_warm_start_needs_the_iteration_before(refused: Callable[..., str]) -> None:
    assert "give --before" in refused("fit", "d", "e", "o", "--warm-start")
