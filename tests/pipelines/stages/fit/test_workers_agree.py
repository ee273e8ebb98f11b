"""Any number of workers fits what one process fits, by real collectives and by a real group."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fit_cases
import numpy as np
import pytest
import torch
import torch.distributed
from process_groups import groups

from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import read_prototypes
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.crew import Crew
from pipelines.runtime.workers.remote_progress import silent
from pipelines.stages.fit import candidate as fit_outcome
from pipelines.stages.fit import workers as fit_job
from pipelines.stages.fit.frame_partition import FramePartition
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.shared import moments_of_all
from pipelines.stages.fit.stage import fit, sweep_of
from pipelines.stages.fit.state import Saved
from pipelines.stages.fit.workers import FitJob, fit_part
from pmam.clustering import kmeans
from pmam.clustering.pca import moments
from pmam.mixture import em
from pmam.mixture.e_step import statistics
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.process_group import Alone, ProcessGroup, made_by_first

CLIPS, WIDTH = 31, 8
SETTINGS = FitSettings(k=6, pca=5, iterations=25, tolerance=0)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A dataset, and its embeddings in two files; clips differ much in length."""
    folder = tmp_path_factory.mktemp("fit")
    dataset = fit_cases.write_dataset(folder, CLIPS)
    clips = list(fit_cases.uneven(dataset, WIDTH, 6).items())
    files = [dict(clips[file::2]) for file in (0, 1)]
    return dataset, fit_cases.write_stage(folder / "embed", files)


def fitted(stages: tuple[str, str], out: Path, world: int, settings: FitSettings = SETTINGS) -> str:
    dataset, embeddings = stages
    out.mkdir()
    job = FitJob(
        stage=Stage(name="fit", url=str(out), fingerprint="x"),
        dataset=dataset,
        embeddings=embeddings,
        previous_posteriors=None,
        settings=settings,
    )
    with groups(world) as each:
        each(lambda group: fit_part(job, group, silent))
    return str(out)


@pytest.fixture(scope="module")
def alone(stages: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    out = str(tmp_path_factory.mktemp("alone") / "fit")
    return fit(*stages, out, SETTINGS)


def same(found: str, expected: str) -> None:
    first, second = read_prototypes(found), read_prototypes(expected)
    # Every iteration, and so the same path from the same initial centres.
    assert len(first.log_likelihoods) == len(second.log_likelihoods) > 5
    np.testing.assert_allclose(first.log_likelihoods, second.log_likelihoods, rtol=1e-6)
    torch.testing.assert_close(first.means, second.means, rtol=1e-3, atol=1e-3)
    a, b = first.diagnostics, second.diagnostics
    assert a is not None
    assert b is not None
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-6)
    assert (a.frames, a.components_in_use) == (b.frames, b.components_in_use)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_workers_find_what_one_process_finds(
    stages: tuple[str, str], alone: str, tmp_path: Path, world: int
) -> None:
    same(fitted(stages, tmp_path / "fit", world), alone)


def test_a_sweep_by_workers_is_that_of_one_process(stages: tuple[str, str], tmp_path: Path) -> None:
    settings = replace(SETTINGS, k=(3, 6), pca="auto", covariance="auto", iterations=3)
    chosen, found = sweep_of(fitted(stages, tmp_path / "fit", 2, settings)) or ("", [])
    name, expected = sweep_of(fit(*stages, str(tmp_path / "alone"), settings)) or ("", [])
    assert chosen == name
    assert len(found) == len(expected) == 4 + 1
    for one, other in zip(found, expected, strict=True):
        assert one.candidate == other.candidate
        assert one.complaints == other.complaints
        for number in ("iterations", "parameters", "components_in_use"):
            assert getattr(one, number) == getattr(other, number)
        for number in ("bic", "full_space_log_likelihood"):
            assert getattr(one, number) == pytest.approx(getattr(other, number), rel=1e-6)
        for number in ("mean_entropy", "silhouette"):  # float32 posteriors
            assert getattr(one, number) == pytest.approx(getattr(other, number), rel=1e-3)


def test_statistics_of_workers_are_those_of_all_frames(stages: tuple[str, str]) -> None:
    frames = open_frames(stages[1])
    whole = FramePartition(frames, list(frames), Alone(torch.device("cpu")))
    x = torch.cat(list(whole.blocks())).double()
    means = x[:6].clone()
    parameters = MixtureParameters(
        covariance_type="full",
        weights=torch.full((6,), 1 / 6, dtype=torch.float64),
        means=means,
        covariances=torch.eye(WIDTH).double().expand(6, -1, -1).contiguous(),
    )

    def summed(group: ProcessGroup) -> tuple[object, ...]:
        part = FramePartition(frames, list(frames), group)
        assert 0.5 < part.count * 3 / len(x) < 1.5  # balanced by frames

        def own() -> Iterator[torch.Tensor]:
            return (block.double() for block in part.blocks())

        return (
            moments_of_all(group, moments(own)),
            kmeans.summed(group, kmeans.cluster_statistics(own, means)),
            em.summed(group, statistics(own, parameters)),
        )

    expected = (moments(x), kmeans.cluster_statistics(x, means), statistics(x, parameters))
    with groups(3) as each:
        for found in each(summed):
            for part, reference in zip(found, expected, strict=True):  # type: ignore[arg-type]
                for name, value in vars(reference).items():
                    torch.testing.assert_close(getattr(part, name), value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sizes", [(2, 0, 5), (0, 0, 0), (1, 1, 1)])
def test_rows_of_all_workers_come_in_their_order(sizes: tuple[int, ...]) -> None:
    def gathered(group: ProcessGroup) -> torch.Tensor:
        return group.gathered(torch.full((sizes[group.rank], 2), float(group.rank)))

    expected = torch.repeat_interleave(torch.arange(3.0), torch.tensor(sizes))
    with groups(3) as each:
        for found in each(gathered):
            assert torch.equal(found, expected[:, None].expand(-1, 2))


@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)) * 9])
def test_all_know_what_the_first_worker_says(data: bytes) -> None:
    with groups(2) as each:
        assert each(lambda group: group.agreed(data if group.rank == 0 else b"?!")) == [data, data]


def test_the_first_worker_alone_makes_a_state_and_all_get_it() -> None:
    """Or differences between machines would part the workers, bit by bit."""

    made: list[int] = []

    def kept(group: ProcessGroup) -> torch.Tensor:
        def make() -> dict[str, torch.Tensor]:
            made.append(group.rank)
            return {"rank": torch.tensor([group.rank, 0.1], dtype=torch.float64)}

        return made_by_first(group)(make)["rank"]

    with groups(3) as each:
        for found in each(kept):
            assert torch.equal(found, torch.tensor([0, 0.1], dtype=torch.float64))
    assert made == [0]


def test_more_workers_than_clips(tmp_path: Path) -> None:
    dataset = fit_cases.write_dataset(tmp_path, 2)
    rows = {k: fit_cases.frames_of(90, 4, 2, seed=n) for n, k in enumerate(fit_cases.keys(dataset))}
    stages = dataset, fit_cases.write_stage(tmp_path / "embed", [rows])
    settings = FitSettings(k=2, pca=3)
    found = read_prototypes(fitted(stages, tmp_path / "fit", 3, settings))
    expected = read_prototypes(fit(*stages, str(tmp_path / "alone"), settings))
    np.testing.assert_allclose(found.log_likelihoods, expected.log_likelihoods, rtol=1e-6)


def test_a_killed_fit_goes_on_with_other_workers(
    stages: tuple[str, str], alone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process is killed, two go on; and what they finished is not done again by one."""
    written: list[bytes] = []
    write = Saved.write

    def kill(self, make):  # type: ignore[no-untyped-def]
        found = write(self, make)
        written.append(self.folder.read(self.name))
        if len(written) == 15:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(Saved, "write", kill)
    out = str(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        fit(*stages, out, SETTINGS)
    assert b'"weights"' in written[-1]  # EM had begun

    def by_threads(worker: object, config: dict[str, FitJob], *, stage: Stage, crew: Crew) -> None:
        assert isinstance(crew.workers, int)
        with groups(crew.workers) as each:
            each(lambda group: fit_part(config["job"], group, silent))

    monkeypatch.setattr(fit_job, "run_workers", by_threads)
    monkeypatch.setattr(Saved, "write", write)
    began: list[int] = []
    real = fit_outcome.expectation_maximisation

    def counted(data, state, *rest, **options):  # type: ignore[no-untyped-def]
        began.append(state.iteration)
        return real(data, state, *rest, **options)

    monkeypatch.setattr(fit_outcome, "expectation_maximisation", counted)
    same(fit(*stages, out, replace(SETTINGS, workers=2)), alone)
    assert len(began) == 2
    assert 0 < began[0] == began[1] < SETTINGS.iterations
    fit(*stages, out, SETTINGS)
    assert len(began) == 2
