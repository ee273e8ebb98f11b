"""The benchmarks load, and the smallest arms of the low-label ones train by the product."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.presets.esc10 import ESC10_FOLDS
from pipelines.runtime.files.urls import open_dataset
from pipelines.runtime.stage import record_of
from pipelines.stages.settings import SoundscapesSettings
from shards.io.store import Store
from shards.soundscapes.demo_sounds import BACKGROUNDS, write_demo_recordings
from shards.soundscapes.scene import SoundscapeSettings

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
MIXING = SoundscapesSettings(
    background_classes=tuple(BACKGROUNDS),
    folds=ESC10_FOLDS,
    counts={"strong": 60, "weak": 4, "unlabeled": 6, "validation": 8, "test": 8},
    scene=SoundscapeSettings(
        duration_s=1.2,
        sample_rate_hz=32000,
        event_max_s=0.8,
        texture_min_s=0.4,
        textures=("engine", "water"),
    ),
    shards=True,
)
STRONG = 20


@pytest.fixture(scope="module", autouse=True)
def _path():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def bench(ray_session, shared_dir, tmp_path_factory):
    """A workbench on clips of 15 frames each, of synthetic sounds."""
    from low_label.data import load, mn04
    from low_label.places import Places
    from low_label.workbench import Workbench

    folder = tmp_path_factory.mktemp("low_label")
    write_demo_recordings(Store.local(folder), 0, 32000, per_class=5)
    for kind in (folder / "background").iterdir():
        kind.rename(folder / "foreground" / kind.name)
    places = Places(folder / "cache")
    encoder = mn04(shared_dir / "data" / "efficientat" / "mn04_as_mAP_432.pt")
    data = load(folder / "foreground", places, MIXING, encoder)
    return Workbench(data, places, most_steps=2)


def small():
    """The recipe of the first iteration, with as many prototypes as so few clips have room for."""
    from low_label.arms import FIRST

    return replace(FIRST, fit=replace(FIRST.fit, k=4, pca=8))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_each_loads(path):
    importlib.import_module(path.stem)


@pytest.mark.slow
def test_labels_are_where_they_should_be(bench):
    strong, weak = bench.subset(STRONG, part=1, seed=0)
    dataset = open_dataset(bench.data.labelled(bench.places, strong, weak))
    true = {row.key: row.events for row in open_dataset(bench.data.truth).rows}
    rows = {row.key: row for row in dataset.rows}
    for row in strong:
        assert rows[row.key].subset == "strong"
        assert rows[row.key].events == true[row.key]
    for row in weak:
        found = rows[row.key]
        assert (found.subset, found.events) == ("weak", None)
        assert set(found.weak) == {event.label for event in true[row.key]}
    rest = [row for row in dataset.rows if row.subset == "unlabeled"]
    assert len(rest) == MIXING.counts["unlabeled"]
    assert all(row.events is None and row.weak is None for row in rest)
    none = open_dataset(bench.data.labelled(bench.places, strong, [])).rows
    assert sum(row.events is None and row.weak is None for row in none) == len(weak) + len(rest)
    other, _ = bench.subset(STRONG, part=0, seed=0)
    assert not {row.key for row in other} & {row.key for row in strong}


@pytest.mark.slow
def test_an_arm_trains_by_the_product_and_is_kept(bench):
    from low_label.arms import arm as arm_of

    arm = arm_of(small())
    assert not bench.has_tested(arm, STRONG, part=0, seed=0)
    assert not list(bench.places.folder.glob("finetune-*"))  # to ask trained nothing
    found = bench.tested(arm, STRONG, part=0, seed=0)
    assert all(0 <= found["numbers"][name] <= 1 for name in ("frame_ap", "psds1", "psds2"))
    assert bench.has_tested(arm, STRONG, part=0, seed=0)
    (tuned,) = bench.places.folder.glob("finetune-*")
    result = record_of(str(tuned))["result"]
    assert (result["steps"], result["clips"]) == (2, STRONG)
    (pretrained,) = bench.places.folder.glob("pretrain-*")
    assert record_of(str(pretrained))["result"]["clips"] == 60 + 4 + 6
    # Not the stage's own number, which is of smoothed scores.
    assert 0 <= bench.validated(arm, STRONG, part=0, seed=0) <= 1


@pytest.mark.slow
def test_shuffled_labels_are_the_same_in_another_order(bench):
    from pipelines.inference.frame_job import open_frames

    mixed = open_frames(bench.labels(replace(small(), shuffled=True), seed=0))
    plain = open_frames(bench.labels(small(), seed=0))
    assert list(mixed) == list(plain)
    rows = [np.concatenate([frames.read(key) for key in frames]) for frames in (mixed, plain)]
    assert not np.array_equal(*rows)
    assert np.array_equal(*(each[np.lexsort(each.T)] for each in rows))


@pytest.mark.slow
def test_centred_means_lose_the_mean_of_the_features(bench):
    from low_label.controls import centred

    from pipelines.runtime.files.urls import read_prototypes

    url = bench.prototypes(small(), seed=0)
    plain = read_prototypes(url)
    moved = read_prototypes(centred(url, **bench.places.at("centred", url)))
    difference = plain.means_in_feature_space() - moved.means_in_feature_space()
    expected = plain.projection.mean.expand_as(difference)
    np.testing.assert_allclose(difference, expected, atol=1e-9)


@pytest.mark.slow
def test_a_later_iteration_labels_by_a_layer_of_the_first(bench):
    first = small()
    second = replace(first, before=first, layer="context", centred=True, goes_on=True)
    body, inputs = bench.backbone(second, seed=0), bench.data.clips["test"].inputs
    assert body.layer(inputs, "context").isfinite().all()
    assert bench.posteriors(second, 0, inputs).shape == (8, inputs.shape[1], 4)
    assert 0 <= bench.nmi(second, 0, "test") <= 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("module", "options", "printed"),
    [
        ("esc10_low_label", ("--seeds", "1"), "PMAM - supervised, psds2: "),
        (
            "esc10_ablation",
            ("--seeds", "1", "--arms", "supervised", "PMAM it. 1"),
            "PSDS2: difference",
        ),
        ("esc10_search", ("--only", "iteration 1, 400"), "iteration 1, 400 steps    "),
    ],
)
def test_command_lines(shared_dir, tmp_path_factory, monkeypatch, capsys, module, options, printed):
    cache = tmp_path_factory.getbasetemp() / "esc10"
    weights = shared_dir / "data" / "efficientat" / "mn04_as_mAP_432.pt"
    places = ("--data", shared_dir / "data" / "esc10", "--weights", weights, "--cache", cache)
    monkeypatch.setattr(sys, "argv", [module, *map(str, places), "--tiny", *options])
    importlib.import_module(module).main()
    assert printed in capsys.readouterr().out


def test_folds_are_each_used_once_and_the_last_is_the_preset_s() -> None:
    from low_label.data import folds_with

    assert folds_with(5) == ESC10_FOLDS
    for test in range(1, 6):
        found = folds_with(test)
        assert found["test"] == (str(test),)
        assert sorted(fold for folds in found.values() for fold in folds) == list("12345")


def test_the_far_domain_is_a_telephone_s_band_with_echoes() -> None:
    from low_label.domains import BAND_HZ, reverberant, telephone

    rate_hz = 16000
    click = np.zeros(2 * rate_hz)
    click[100] = 1.0
    heard = reverberant(click, rate_hz, seed=0)
    early, late = (np.sum(heard[at : at + 1600] ** 2) for at in (200, 16200))
    assert 10 * np.log10(early / late) == pytest.approx(40, abs=2)  # a second of 60 dB in 1.5 s
    power = np.abs(np.fft.rfft(telephone(heard, rate_hz))) ** 2
    hertz = np.fft.rfftfreq(len(click), 1 / rate_hz)
    inside = (hertz > BAND_HZ[0]) & (hertz < BAND_HZ[1])
    assert power[inside].sum() > 0.9 * power.sum()
    assert power[hertz < 100].sum() < 1e-4 * power.sum()


def test_resampled_sources_weigh_the_clips_that_hold_them() -> None:
    from low_label.sources import source_draws, sources_of

    lines = [
        {"id": "a", "events": [{"label": "dog", "source": "1"}]},
        {"id": "b", "events": [{"label": "dog", "source": "1"}, {"label": "cat", "source": "1"}]},
        {"id": "c", "events": [{"label": "dog", "source": "2"}]},
        {"id": "d", "events": []},
    ]
    found = sources_of("\n".join(map(json.dumps, lines)).encode())
    assert list(found) == ["a", "b", "c", "d"]
    drawn = source_draws(list(found.values()), 2000)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])  # the only cat is always drawn once
    np.testing.assert_array_equal(drawn[:, 0] + drawn[:, 2], 2)  # two dogs
    np.testing.assert_array_equal(drawn[:, 3], 1)
    assert drawn.mean() == pytest.approx(1, abs=0.05)
    assert {0.0, 1.0, 2.0} == set(drawn[:, 0])
