"""Fits: killed ones go on to the same bits, sweeps keep what is finished, bad ones are told."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import fit_cases
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.mixture import GaussianMixture as Reference

from pipelines.cli.main import main
from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import read_prototypes
from pipelines.runtime.stage import record_of
from pipelines.stages.fit import candidate as fit_outcome
from pipelines.stages.fit import state as fit_state
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.stage import fit, sweep_of
from pmam.mixture.model_selection import best_count
from shards.io.store import Store

WIDTH, TRUE_K = 10, 5
SETTINGS = FitSettings(k=TRUE_K, pca=6, iterations=12, tolerance=1e-5)
SWEEP = replace(SETTINGS, k=(3, TRUE_K, 8), pca="auto", covariance="auto")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A dataset of 30 clips and embeddings in five clusters, a little apart."""
    folder = tmp_path_factory.mktemp("fit")
    dataset = fit_cases.write_dataset(folder, 30)
    rows = {
        key: fit_cases.frames_of(80, WIDTH, TRUE_K, seed=n, spread=2.0)
        for n, key in enumerate(fit_cases.keys(dataset))
    }
    return dataset, fit_cases.write_stage(folder / "embed", [rows])


class Killed(BaseException):
    """What stands for a kill: nothing in the pipeline catches it."""


@pytest.mark.parametrize(
    ("kind", "after"), [("gmm", 1), ("gmm", 3), ("gmm", 7), ("kmeans", 2), ("kmeans", 4)]
)
def test_a_kill_changes_no_bit(
    stages: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, after: int
) -> None:
    """Killed once a state was written so often: it goes on from there to the same bytes."""
    settings = replace(SETTINGS, kind=kind, tolerance=0)
    expected = fit(*stages, str(tmp_path / "undisturbed"), settings)
    written: list[str] = []
    write = fit_state.Saved.write

    def kill(self, make):  # type: ignore[no-untyped-def]
        found = write(self, make)
        written.append(self.name)
        if len(written) == after:
            raise Killed
        return found

    monkeypatch.setattr(fit_state.Saved, "write", kill)
    out = str(tmp_path / "out")
    with pytest.raises(Killed):
        fit(*stages, out, settings)
    fit(*stages, out, settings)
    monkeypatch.undo()
    for name in ("prototypes.safetensors", "prototypes.json"):
        assert (Path(out) / name).read_bytes() == (Path(expected) / name).read_bytes()
    assert record_of(out)["result"] == record_of(expected)["result"]
    whole = {p.name for p in Path(out).rglob("*") if p.is_file()}
    assert whole == {
        *("plan.json", "stage.json", "result.json"),
        *("prototypes.json", "prototypes.safetensors"),
    }


def test_a_finished_fit_is_not_done_again_when_its_record_is_lost(
    stages: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = fit(*stages, str(tmp_path / "out"), SETTINGS)
    kept = record_of(out)["result"]
    (tmp_path / "out" / "stage.json").unlink()
    monkeypatch.setattr(fit_outcome, "expectation_maximisation", None)
    assert record_of(fit(*stages, out, SETTINGS))["result"] == kept


def test_likelihood_and_bic_are_those_of_scikit_learn(
    stages: tuple[str, str], tmp_path: Path
) -> None:
    """Of the same parameters, on the same frames: those that were not kept aside."""
    out = fit(*stages, str(tmp_path / "out"), replace(SETTINGS, k=(TRUE_K, 6), pca=None))
    _, outcomes = sweep_of(out) or ("", [])
    outcome = next(o for o in outcomes if o.k == TRUE_K)
    prototypes = read_prototypes(f"{out}/candidates/{outcome.candidate.name}")
    frames = open_frames(stages[1])
    assert prototypes.diagnostics is not None
    everything = np.concatenate([frames.read(key) for key in frames]).astype(float)
    reference = Reference(TRUE_K)
    reference.weights_, reference.means_ = prototypes.weights.numpy(), prototypes.means.numpy()
    reference.precisions_cholesky_ = prototypes.mixture.precision_factors.numpy()
    held_out = prototypes.diagnostics.frames * outcome.held_out_log_likelihood
    total = reference.score_samples(everything).sum() - held_out
    fitted = len(everything) - prototypes.diagnostics.frames
    assert outcome.log_likelihood == pytest.approx(total / fitted, rel=1e-5)
    expected = reference._n_parameters() * np.log(fitted) - 2 * total
    assert outcome.parameters == reference._n_parameters()
    assert outcome.bic == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def swept(stages: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("swept") / "out"
    return Path(fit(*stages, str(out), SWEEP))


def test_a_sweep_finds_what_the_frames_were_drawn_from(swept: Path) -> None:
    """As many clusters as there are, and a density that generalises as well as the true one."""
    chosen, outcomes = sweep_of(str(swept)) or ("", [])
    assert chosen.startswith(f"k{TRUE_K}-")
    assert len(outcomes) == 8 + 2  # all covariances with 8 and all dimensions; two more K
    by_name = {outcome.candidate.name: outcome for outcome in outcomes}
    best = by_name[chosen]
    same = [o for o in outcomes if (o.covariance, o.pca) == (best.covariance, best.pca)]
    assert [o.k for o in same] == [3, TRUE_K, 8]
    assert best_count(same, "bic").k == best_count(same, "silhouette").k == TRUE_K
    assert by_name[f"k{TRUE_K}-full-all"].full_space_log_likelihood < (
        best.full_space_log_likelihood
    )
    # Unit variance around each centre: an entropy of D/2 log(2 pi e) below log K.
    true = -0.5 * WIDTH * np.log(2 * np.pi * np.e) - np.log(TRUE_K)
    assert best.full_space_log_likelihood == pytest.approx(true, abs=0.3)
    prototypes = read_prototypes(str(swept))
    assert prototypes.means.shape == (TRUE_K, best.pca or WIDTH)
    assert prototypes.covariance_type == best.covariance
    assert record_of(str(swept))["result"]["k"] == TRUE_K
    for outcome in outcomes:  # any of them can be labelled with
        other = read_prototypes(f"{swept}/candidates/{outcome.candidate.name}")
        assert len(other.means) == outcome.k
    assert (swept / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_that_is_interrupted_keeps_what_is_finished(
    stages: tuple[str, str], swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    follow = fit_outcome._mixture

    def mixture(work, candidate, *rest):  # type: ignore[no-untyped-def]
        begun.append(candidate.name)
        if len(begun) == 4:
            raise KeyboardInterrupt
        return follow(work, candidate, *rest)

    monkeypatch.setattr(fit_outcome, "_mixture", mixture)
    out = str(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        fit(*stages, out, SWEEP)
    first = begun.copy()
    fit(*stages, out, SWEEP)
    assert begun[4:] == [first[3], *(n for n in begun[5:] if n not in first)]  # three were kept
    assert numbers(Path(out)) == numbers(swept)


def numbers(out: Path) -> dict[str, object]:
    sweep = json.loads((out / "sweep.json").read_text())
    for outcome in sweep["outcomes"]:
        del outcome["seconds"]
    return {**sweep, "prototypes": (out / "prototypes.safetensors").read_bytes()}


def test_kmeans_chooses_by_the_silhouette(stages: tuple[str, str], tmp_path: Path) -> None:
    settings = replace(SETTINGS, kind="kmeans", k=(2, TRUE_K, 12), pca=None)
    out = fit(*stages, str(tmp_path / "out"), settings)
    chosen, outcomes = sweep_of(out) or ("", [])
    assert record_of(out)["result"]["k"] == TRUE_K
    assert chosen.startswith(f"k{TRUE_K}-")
    assert all(o.log_likelihood is None and o.bic is None for o in outcomes)
    assert read_prototypes(out).kind == "kmeans"


def test_the_command_prints_a_line_for_each_fit(
    stages: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    options = ["--k", f"3,{TRUE_K}", "--pca", "6", "--choose-by", "bic", "--iterations", "12"]
    main(["fit", *stages, out, *options])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if "used" in line or "0." in line]
    assert rows[0] == ["K", "training", "held", "out", "BIC", "used", "entropy", "silhouette", "s"]
    assert [row[0] for row in rows[1:]] == ["3", "*"]
    assert rows[2][1] == str(TRUE_K)
    assert lines[-1] == out
    again = fit(*stages, out, FitSettings(k=(3, TRUE_K), pca=6, choose_by="bic", iterations=12))
    assert again == out  # and the same settings: nothing is done twice


def test_a_degenerate_fit_is_called_bad(
    stages: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Full covariances in many dimensions on few frames, as with one short class of sounds."""
    dataset, _ = stages
    generator = np.random.default_rng(0)
    rows = {k: generator.normal(size=(14, 60)).astype(np.float32) for k in fit_cases.keys(dataset)}
    embedded = fit_cases.write_stage(tmp_path / "embed", [rows])
    with caplog.at_level(logging.WARNING, "pmam"):
        out = fit(dataset, embedded, str(tmp_path / "out"), FitSettings(k=12, pca=None))
    complaints = record_of(out)["result"]["complaints"]
    assert any(line.startswith("over-fitted") for line in complaints)
    assert any(line.startswith("one-hot") for line in complaints)
    assert all(f"bad fit, {complaint}" in caplog.text for complaint in complaints)
    auto = FitSettings(k=12, pca="auto", covariance="auto")
    out = fit(dataset, embedded, str(tmp_path / "auto"), auto)
    found = record_of(out)["result"]
    assert not any(line.startswith("over-fitted") for line in found["complaints"])
    assert found["covariance"] != "full" or found["pca"] is not None


def test_a_temperature_softens_what_is_used_and_told(
    stages: tuple[str, str], tmp_path: Path
) -> None:
    """Not EM: the same mixture, whose posteriors are softer from here on."""
    sharp = fit(*stages, str(tmp_path / "sharp"), SETTINGS)
    soft = fit(*stages, str(tmp_path / "soft"), replace(SETTINGS, temperature=5.0))
    one, other = read_prototypes(sharp), read_prototypes(soft)
    assert torch.equal(one.means, other.means)
    before, after = record_of(sharp)["result"], record_of(soft)["result"]
    assert after["mean_entropy"] > 1.5 * before["mean_entropy"]
    assert after["held_out_log_likelihood"] == before["held_out_log_likelihood"]
    x = torch.tensor(open_frames(stages[1]).read(fit_cases.keys(stages[0])[0]))
    powers = one.evaluate(x)[0] ** 0.2
    expected = (powers / powers.sum(dim=1, keepdim=True)).float()
    torch.testing.assert_close(other.posteriors(x), expected, rtol=1e-4, atol=1e-5)


def test_state_of_each_iteration_is_whole(
    stages: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in the folder after an iteration is that iteration's, by name and shape."""
    seen: list[dict[str, torch.Tensor]] = []
    write = Store.write

    def watch(self, name, data):  # type: ignore[no-untyped-def]
        write(self, name, data)
        if name == "state.safetensors":
            path = Path(self.path(name))
            seen.append(load_file(shutil.copy(path, tmp_path / f"{len(seen)}.safetensors")))

    monkeypatch.setattr(Store, "write", watch)
    out = fit(*stages, str(tmp_path / "out"), SETTINGS)
    assert {s["centers"].shape for s in seen if "centers" in s} == {(TRUE_K, 6)}
    mixtures = [s for s in seen if "weights" in s]
    prototypes = read_prototypes(out)
    assert len(mixtures) == len(prototypes.log_likelihoods) + 1
    for n, state in enumerate(mixtures):
        assert state["log_likelihoods"].tolist() == list(prototypes.log_likelihoods[:n])
    assert torch.equal(mixtures[-1]["means"], prototypes.means)
