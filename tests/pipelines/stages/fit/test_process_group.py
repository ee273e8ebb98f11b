"""Real worker groups of Ray Train: killed once they go on, killed again and again they say so."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fit_cases
import numpy as np
import pytest
from frame_cases import without_checksums
from safetensors.torch import load
from train_workers import own_workers

from pipelines.runtime.errors import user_error
from pipelines.runtime.files.urls import read_prototypes
from pipelines.runtime.stage import record_of
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.stage import fit

CLIPS, WIDTH = 31, 8
SETTINGS = FitSettings(k=6, pca=5, iterations=400, tolerance=0)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A dataset, and its embeddings."""
    folder = tmp_path_factory.mktemp("fit")
    dataset = fit_cases.write_dataset(folder, CLIPS)
    return dataset, fit_cases.write_stage(folder / "embed", [fit_cases.uneven(dataset, WIDTH, 6)])


@contextlib.contextmanager
def killing(out: Path, times: int) -> Iterator[list[int]]:
    """Kill a worker whenever EM has gone on since the last kill; gives the iterations of kills."""
    state = out / "candidates" / "k6-full-pca5" / "state.safetensors"
    kills: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while len(kills) < times and not ended.wait(0.005):
            with contextlib.suppress(OSError):
                tensors = load(state.read_bytes())
                iteration = len(tensors.get("log_likelihoods", ()))
                if iteration > max(kills, default=0) and (workers := own_workers()):
                    os.kill(workers[-1], signal.SIGKILL)
                    kills.append(iteration)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield kills
    finally:
        ended.set()
        thread.join()


def same(found: str, expected: str) -> None:
    """All iterations of one fit in the other."""
    first, second = read_prototypes(found), read_prototypes(expected)
    assert len(first.log_likelihoods) == SETTINGS.iterations
    np.testing.assert_allclose(first.log_likelihoods, second.log_likelihoods, rtol=1e-6)
    assert not record_of(found)["result"]["reseeded"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("ray_session")
def test_a_worker_group_that_loses_workers(
    stages: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once: it goes on by itself. Again and again: it says so, and the same command goes on."""
    expected = fit(*stages, str(tmp_path / "alone"), SETTINGS)
    settings = replace(SETTINGS, workers=2)
    with killing(tmp_path / "once", times=1) as kills:
        fit(*stages, str(tmp_path / "once"), settings)
    assert len(kills) == 1
    assert "started again" in caplog.text
    same(str(tmp_path / "once"), expected)
    out = tmp_path / "often"
    with killing(out, times=3) as kills, pytest.raises(ChildProcessError) as died:
        fit(*stages, str(out), settings)
    assert 0 < kills[0] < kills[1] < kills[2]  # each group went on from what the last one did
    assert "workers died 3 times" in str(user_error(died.value))
    same(fit(*stages, str(out), settings), expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("ray_session")
def test_a_worker_names_the_clip_that_it_cannot_use(
    stages: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last clip, so that it is not the first worker that meets it; nothing is tried again."""
    dataset, _ = stages
    keys = fit_cases.keys(dataset)
    rows = {k: fit_cases.frames_of(50, WIDTH, 6, seed=n) for n, k in enumerate(keys)}
    mark = np.float32(12345.678)
    rows[keys[-1]][7, 3] = mark
    embedded = fit_cases.write_stage(tmp_path / "embed", [rows])
    file = tmp_path / "embed" / "frames" / "0.arrow"
    without_checksums(file)
    file.write_bytes(file.read_bytes().replace(mark.tobytes(), np.float32(np.nan).tobytes()))
    with pytest.raises(ValueError, match=f"^{keys[-1]}: frame 7 .* NaN or infinity"):
        fit(dataset, embedded, str(tmp_path / "out"), replace(SETTINGS, workers=2))
    assert "started again" not in caplog.text
