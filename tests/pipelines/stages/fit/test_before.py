"""A fit after another: prototypes keep their numbers, what moved is told, and EM begins there."""

from dataclasses import replace
from pathlib import Path

import fit_cases
import numpy as np
import pytest
import torch

from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import read_prototypes
from pipelines.runtime.stage import record_of
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.stage import fit

K, WIDTH, OTHER_WIDTH = 5, 8, 6
SETTINGS = FitSettings(k=K, pca=None, iterations=30)


class Iterations:
    """Two embeddings of the same clips: the second is the first along fewer axes."""

    def __init__(self, folder: Path) -> None:
        self.dataset = fit_cases.write_dataset(folder, 20)
        keys = fit_cases.keys(self.dataset)
        first = {
            key: fit_cases.frames_of(60, WIDTH, K, seed=n, spread=3.5) for n, key in enumerate(keys)
        }
        axes, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((WIDTH, OTHER_WIDTH)))
        second = {key: frames @ axes.astype(np.float32) for key, frames in first.items()}
        self.first = fit_cases.write_stage(folder / "embed-1", [first], "embed-1")
        self.second = fit_cases.write_stage(folder / "embed-2", [second], "embed-2", every=3)
        self.fitted = fit(self.dataset, self.first, str(folder / "fit-1"), SETTINGS)
        self.prototypes = read_prototypes(self.fitted)
        rows = {
            k: self.prototypes.posteriors(torch.from_numpy(x)).numpy() for k, x in first.items()
        }
        files = [dict(list(rows.items())[n::2]) for n in (0, 1)]  # in other files than before
        self.posteriors = fit_cases.write_stage(
            folder / "label-1", files, "label-1", kind="posteriors", dtype="sparse8"
        )

    def again(self, out: Path, **changes: object) -> str:
        return fit(
            self.dataset,
            self.second,
            str(out),
            replace(SETTINGS, **changes),
            before=self.posteriors,
        )


@pytest.fixture(scope="module")
def iterations(tmp_path_factory: pytest.TempPathFactory) -> Iterations:
    return Iterations(tmp_path_factory.mktemp("before"))


def agreement(iterations: Iterations, fitted: str) -> float:
    """Share of frames whose most probable prototype has the number that it had before."""
    before, frames = open_frames(iterations.posteriors), open_frames(iterations.second)
    prototypes, same = read_prototypes(fitted), []
    for key in frames:
        now = prototypes.posteriors(torch.tensor(frames.read(key))).argmax(dim=1).numpy()
        same.append(now == before.read(key)[::3].argmax(axis=1))
    return float(np.concatenate(same).mean())


@pytest.mark.parametrize("kind", ["gmm", "kmeans"])
@pytest.mark.parametrize("warm", [False, True])
def test_prototypes_keep_their_numbers(
    iterations: Iterations, tmp_path: Path, kind: str, warm: bool
) -> None:
    """In another space, on sampled frames, from a random beginning as from the one before."""
    out = iterations.again(tmp_path / "out", kind=kind, warm_start=warm)
    drift = record_of(out)["result"]["drift"]
    assert agreement(iterations, out) == pytest.approx(drift["stayed"], abs=0.01)
    assert drift["stayed"] > 0.95
    assert drift["normalised_mutual_information"] > 0.85
    assert drift["mean_shift"] < 0.1
    assert sorted(new for _, new in drift["matches"]) == list(range(K))
    frames = open_frames(iterations.second)
    assert drift["frames"] == 18 * sum(frames.count(key) for key in frames) / 20  # two kept aside


def test_a_warm_start_begins_where_the_last_one_ended(
    iterations: Iterations, tmp_path: Path
) -> None:
    warm = read_prototypes(iterations.again(tmp_path / "warm", warm_start=True))
    first, *_, last = warm.log_likelihoods
    assert last - first < 0.05
    assert len(warm.log_likelihoods) <= 4
    # Nothing had to be numbered anew.
    drift = record_of(str(tmp_path / "warm"))["result"]["drift"]
    assert drift["matches"] == [[k, k] for k in range(K)]


def test_another_number_of_prototypes_is_matched_as_far_as_it_goes(
    iterations: Iterations, tmp_path: Path
) -> None:
    drift = record_of(iterations.again(tmp_path / "out", k=K - 2))["result"]["drift"]
    assert len(drift["matches"]) == K - 2
    assert drift["stayed"] < 0.95
    with pytest.raises(ValueError, match=f"{K} prototypes before, 7 now; ask for as many"):
        iterations.again(tmp_path / "warm", k=7, warm_start=True)


def test_the_first_iteration_has_none_before(iterations: Iterations, tmp_path: Path) -> None:
    settings = replace(SETTINGS, warm_start=True)
    out = fit(iterations.dataset, iterations.first, str(tmp_path / "out"), settings)
    assert record_of(out)["result"]["drift"] is None
    cold = (Path(iterations.fitted) / "prototypes.safetensors").read_bytes()
    assert (tmp_path / "out" / "prototypes.safetensors").read_bytes() == cold


def test_posteriors_of_other_clips_or_of_some_frames(
    iterations: Iterations, tmp_path: Path
) -> None:
    one_hot = np.eye(K, dtype=np.float32)[np.zeros(60, int)]
    others = fit_cases.write_stage(tmp_path / "a", [{"x": one_hot}], "label", kind="posteriors")
    with pytest.raises(ValueError, match="got no frames in common"):
        fit(iterations.dataset, iterations.second, str(tmp_path / "o"), SETTINGS, before=others)
    keys = fit_cases.keys(iterations.dataset)
    some = fit_cases.write_stage(
        tmp_path / "b", [dict.fromkeys(keys, one_hot)], "label", every=2, kind="posteriors"
    )
    with pytest.raises(ValueError, match=r"posteriors of some frames alone; .* `pmam label`"):
        fit(iterations.dataset, iterations.second, str(tmp_path / "p"), SETTINGS, before=some)
