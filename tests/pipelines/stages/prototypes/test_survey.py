"""`pmam prototypes` on clips whose posteriors are known, local and on S3."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import prototype_cases as cases
import pytest
import tiny_models
import torch
from packing import files
from s3_server import s3_server
from sklearn.metrics import normalized_mutual_info_score

from pipelines.cli.main import main
from pipelines.runtime.files.urls import read_checkpoint, read_prototypes, store, write_checkpoint
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask
from pipelines.stages.prototypes.settings import SegmentSettings
from pipelines.stages.prototypes.survey import survey, survey_of
from pmam.events.event import Event
from pmam.events.targets import encode
from pmam.models.checkpoint import pack_encoder
from shards.dataset import Dataset


def here(
    stage: Any, plans: Mapping[str, ShardTask], make: Any, arguments: Any, **_: Any
) -> list[ShardResult]:
    """`run_shards` without Ray: a worker for each plan."""
    return [make(**arguments)(plan) for plan in plans.values()]


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.stages.prototypes.survey.run_shards", here)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return cases.write_dataset(tmp_path_factory.mktemp("prototypes"))


def posteriors_of(fit: str) -> Callable[[Any], np.ndarray]:
    fitted = read_prototypes(fit)
    return lambda row: fitted.posteriors(torch.from_numpy(cases.features(row))).numpy()


@pytest.fixture(params=["gmm", "kmeans"])
def run(request: pytest.FixtureRequest, dataset: Dataset, tmp_path: Path) -> Path:
    """A run's folder with `fit-1` and `label-1`; Ray's workers look at the mixture's."""
    request.getfixturevalue("ray_session" if request.param == "gmm" else "without_ray")
    fit = cases.write_fit(tmp_path / "fit-1", request.param)
    posteriors, out = posteriors_of(fit), str(tmp_path / "label-1")
    cases.write_posteriors(dataset, dataset.store.root, fit, out, posteriors, tmp_path)
    return tmp_path


def test_the_command_tells_what_was_put_in(
    dataset: Dataset, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run / "out"
    arguments = ["prototypes", str(run / "fit-1"), "--dataset", dataset.store.root]
    arguments += ["--out", str(out), "--segments", "6", "--per-clip", "1", "--segment-s", "0.5"]
    main([*arguments, "--sounds", "2"])
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith(str(out / "prototypes.html"))
    assert "dog" in printed
    found = json.loads((out / "prototypes.json").read_text())

    rows = {row.key: row for row in dataset.rows}
    posteriors = {k: posteriors_of(str(run / "fit-1"))(row) for k, row in rows.items()}
    every = np.concatenate(list(posteriors.values()))
    likeliest = every.argmax(axis=1)
    assert (found["clips"], found["frames"]) == (len(rows), len(every))
    assert found["unused"] == [3]
    assert found["mean_max_posterior"] == pytest.approx(every.max(axis=1).mean(), abs=1e-6)
    order = [of["prototype"] for of in found["of_prototypes"]]
    sizes = np.bincount(likeliest, minlength=cases.K)
    assert [of["frames"] for of in found["of_prototypes"]] == sorted(sizes, reverse=True)
    for of in found["of_prototypes"]:
        z = of["prototype"]
        assert of["frames"] == sizes[z]
        assert of["mean_posterior"] == pytest.approx(every[:, z].mean(), abs=1e-6)
        mine = every[likeliest == z, z]
        expected = pytest.approx(mine.mean(), abs=1e-6) if len(mine) else None
        assert of["mean_max_posterior"] == expected
        for segment in of["segments"]:
            first, stop = (round(segment[f"{end}_s"] / cases.HOP_S) for end in ("start", "stop"))
            assert stop - first == 5
            inside = posteriors[segment["key"]][first:stop, z]
            assert segment["mean_posterior"] == pytest.approx(inside.mean(), abs=2e-6)
            assert segment["max_posterior"] == pytest.approx(inside.max())
    assert order[-1] == 3
    assert found["of_prototypes"][-1]["segments"] == []
    tone = found["of_prototypes"][order.index(1)]
    assert len({segment["key"] for segment in tone["segments"]}) == 6
    assert all(s["start_s"] > 0.4 and s["stop_s"] < 1.6 for s in tone["segments"])

    truth, chosen = [], []
    for key, row in rows.items():
        if row.events is not None:
            events = [Event(**vars(event)) for event in row.events]
            active = encode(events, ["cat", "dog"], cases.FRAMES, cases.HOP_S)
            truth += [(a @ [1, 2]) for a in active]
            chosen += posteriors[key].argmax(axis=1).tolist()
    strong = found["overlap"]["strong"]
    assert strong["frames"] == len(truth) == 3 * cases.FRAMES
    assert strong["active"] == sum(t > 0 for t in truth)
    assert strong["overlapping"] == sum(t == 3 for t in truth) > 0
    expected = normalized_mutual_info_score(truth, chosen)
    assert strong["mutual_information"] == pytest.approx(expected, abs=1e-9)
    sounding = np.array(truth) > 0
    expected = normalized_mutual_info_score(np.array(truth)[sounding], np.array(chosen)[sounding])
    assert strong["mutual_information_active"] == pytest.approx(expected, abs=1e-9)
    assert {of["label"]: of["cluster"] for of in strong["classes"]}["dog"] == 1
    assert found["overlap"]["weak"]["frames"] == 2 * cases.FRAMES

    # again: nothing is read twice, the page alone is made anew
    files_before = files(out)
    main([*arguments, "--sounds", "0"])
    assert {n: b for n, b in files(out).items() if "survey" in n} == {
        n: b for n, b in files_before.items() if "survey" in n
    }
    assert b"<audio" in files_before["prototypes.html"]
    assert b"<audio" not in files(out)["prototypes.html"]


@pytest.mark.usefixtures("without_ray")
def test_one_file_or_several_give_the_same(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks shorter than a clip as well, but for the segments, which do not cross them."""
    fit = cases.write_fit(tmp_path / "fit")
    settings = SegmentSettings(segment_s=0.3, segments=5)
    one = Dataset.open(dataset.store)
    together = list(one.rows)
    assert len({row.shard for row in together}) > 1

    def surveyed(out: str) -> Any:
        label = str(tmp_path / f"label-{out}")
        cases.write_posteriors(one, one.store.root, fit, label, posteriors_of(fit), tmp_path)
        url = survey(fit, one.store.root, str(tmp_path / out), settings, posteriors=label)
        return survey_of(url, settings)

    several = surveyed("several")
    monkeypatch.setattr(one, "rows", [replace(row, shard="all") for row in together])
    whole = surveyed("whole")
    assert whole.to_json()["top"] == several.to_json()["top"]
    assert whole.to_json()["overlaps"] == several.to_json()["overlaps"]
    np.testing.assert_allclose(whole.usage.mass, several.usage.mass)
    monkeypatch.setattr("pipelines.stages.prototypes.survey.BLOCK_VALUES", 7 * cases.K)
    blocks = surveyed("blocks")
    assert blocks.overlaps["strong"].items() == several.overlaps["strong"].items()
    np.testing.assert_array_equal(blocks.usage.counts, several.usage.counts)


@pytest.mark.usefixtures("without_ray")
def test_embeddings_give_what_their_posteriors_give(dataset: Dataset, tmp_path: Path) -> None:
    write_checkpoint(store(str(tmp_path)), "encoder", pack_encoder(tiny_models.backbone().encoder))
    checkpoint = str(tmp_path / "encoder")
    fit = cases.write_fit(tmp_path / "fit", encoder=read_checkpoint(checkpoint).fingerprint)
    url, label = dataset.store.root, str(tmp_path / "label")
    cases.write_posteriors(dataset, url, fit, label, posteriors_of(fit), tmp_path)
    embedded = cases.write_embeddings(dataset, str(tmp_path / "embed"), checkpoint, tmp_path)
    settings = SegmentSettings()
    found = survey(fit, url, str(tmp_path / "a"), settings, embeddings=embedded)
    found = survey_of(found, settings)
    expected = survey(fit, url, str(tmp_path / "b"), settings, posteriors=label)
    expected = survey_of(expected, settings)
    assert found.to_json() == expected.to_json()


@pytest.mark.usefixtures("without_ray")
def test_on_s3_as_on_a_disk(dataset: Dataset, tmp_path: Path) -> None:
    def both(root: str, dataset_url: str) -> dict[str, bytes]:
        fit = cases.write_fit(tmp_path / "fit")
        for name in store(fit).names():
            store(f"{root}/fit-1").write(name, store(fit).read(name))
        fit, label = f"{root}/fit-1", f"{root}/label-1"
        cases.write_posteriors(dataset, dataset_url, fit, label, posteriors_of(fit), tmp_path)
        out = f"{root}/out"
        main(["prototypes", fit, "--dataset", dataset_url, "--out", out, "--sounds", "1"])
        return {n: store(out).read(n) for n in ("prototypes.json", "prototypes.html")}

    local = both(str(tmp_path / "run"), dataset.store.root)
    with s3_server(tmp_path) as server:
        url = server.url("dataset")
        for name in dataset.store.names():
            store(url).write(name, dataset.store.read(name))
        remote = both(server.url("run"), url)
    for name, data in local.items():
        there = remote[name].decode().replace("s3://bucket/run", str(tmp_path / "run"))
        assert there.replace("s3://bucket/dataset", dataset.store.root) == data.decode()
    assert b"data:audio/ogg;base64," in remote["prototypes.html"]


@pytest.mark.usefixtures("without_ray")
def test_clips_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = cases.write_dataset(tmp_path, ("u1", "u2"))
    fit, label = cases.write_fit(tmp_path / "fit-1"), str(tmp_path / "label-1")
    cases.write_posteriors(dataset, dataset.store.root, fit, label, posteriors_of(fit), tmp_path)
    main(["prototypes", fit, "--dataset", dataset.store.root, "--out", str(tmp_path / "out")])
    assert "no labels to compare with" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "prototypes.json").read_text())["overlap"] == {}
    assert "no labels to compare with" in (tmp_path / "out" / "prototypes.html").read_text()


@pytest.mark.usefixtures("without_ray")
def test_what_does_not_belong_together_is_one_line(
    dataset: Dataset, tmp_path: Path, refused: Callable[..., str]
) -> None:
    fit, label = cases.write_fit(tmp_path / "fit-1"), str(tmp_path / "label")
    url, out = dataset.store.root, str(tmp_path / "out")
    given = ("prototypes", fit, "--dataset", url, "--out", out)
    assert "give --posteriors" in refused(*given)
    assert "no finished stage" in refused(*given, "--posteriors", str(tmp_path / "nowhere"))
    cases.write_posteriors(dataset, url, fit, label, posteriors_of(fit), tmp_path)
    other = cases.write_fit(tmp_path / "other", "kmeans")
    message = refused("prototypes", other, *given[2:], "--posteriors", label)
    assert "not of the prototypes of" in message
    few = cases.write_dataset(tmp_path / "few", ("s1",)).store.root
    message = refused("prototypes", fit, "--dataset", few, "--out", out, "--posteriors", label)
    assert "has no clip" in message
    assert "expected a positive length" in refused(*given, "--segment-s", "0")
    assert "expected one of them" in refused(*given, "--posteriors", label, "--embeddings", label)
    message = refused(*given, "--embeddings", label)
    assert "not of the encoder" in message
