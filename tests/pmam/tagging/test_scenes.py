"""The rule for scenes, against an independent copy of it in tables, and by hand."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_cases import Vectors

from pmam.tagging.noise import at_snr, noise_level, published_noise
from pmam.tagging.scenes import TagGroup, from_similarities, kept, merged, scenes_of
from pmam.tagging.settings import PUBLISHED, PUBLISHED_OLDER, SceneRule

pd = pytest.importorskip("pandas")  # of the group peers
SCENES = ("bus", "car", "home", "park", "tram", "train", "office")
NEW, OLD = PUBLISHED.scenes, PUBLISHED_OLDER.scenes


def table_of(frequencies: dict[str, int], near: np.ndarray, rule: SceneRule) -> Any:
    """Groups of tags with their frequencies and ranks, the way TMRL computes them."""
    names = sorted(frequencies)
    groups = pd.DataFrame({"tag": names, "frequency": [float(frequencies[n]) for n in names]})
    groups["members"] = [[name] for name in names]
    original = groups["frequency"].copy()
    for n, m in itertools.combinations(range(len(names)), 2):
        if rule.merge <= near[n, m] < 1:
            groups.loc[n, "frequency"] += original[m]
            groups.loc[n, "members"].append(names[m])
    groups["rank"] = groups["frequency"].rank(ascending=False)
    return groups


@settings(max_examples=60)
@given(st.data())
def test_groups_are_those_of_tables(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 7))
    names = [f"tag {letter}" for letter in "abcdefg"[:count]]
    frequencies = {name: data.draw(st.integers(1, 4)) for name in names}
    near = np.array(
        [[data.draw(st.sampled_from([0.2, 0.6, 0.8, 1.0])) for _ in names] for _ in names]
    )
    expected = table_of(frequencies, near, NEW)
    groups = merged(frequencies, near, NEW)
    assert [list(group.tags) for group in groups] == expected["members"].tolist()
    assert [group.frequency for group in groups] == expected["frequency"].tolist()
    of_tables = expected[expected["rank"] < 3]["members"].tolist()
    assert [list(group.tags) for group in kept(groups, NEW)] == of_tables


@settings(max_examples=60)
@given(st.data())
def test_scenes_are_those_of_tables(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    groups = [
        TagGroup(tags=(f"tag {n}",), frequency=float(data.draw(st.integers(1, 3))))
        for n in range(count)
    ]
    # Exact in binary, so that sums of tables do not depend on their order.
    cosine = st.sampled_from([0.0, 0.0625, 0.125, 0.25, 0.5])
    near = np.array([[data.draw(cosine) for _ in SCENES] for _ in groups])
    rows = pd.DataFrame(
        [
            (scene, group.frequency, group.frequency * near[n, s])
            for n, group in enumerate(groups)
            for s, scene in enumerate(SCENES)
            if near[n, s] >= 0.1
        ],
        columns=["scene", "frequency", "weighted"],
    )
    found = from_similarities(groups, near, SCENES, NEW)
    if rows.empty:
        assert (found.selected, found.top5, found.level1) == ((), (), ())
        return
    best: set[str] = set()
    for column, answer in (("weighted", found.selected), ("frequency", found.top5)):
        sums = rows[["scene", column]].drop_duplicates().groupby("scene")[column].sum()
        rank = sums.rank(ascending=False)
        wanted = sums[rank <= 5]
        if column == "frequency" and wanted.empty:
            distinct = pd.Series(sums.unique()).rank(ascending=False)
            high = pd.Series(sums.unique())[distinct < 3]
            wanted = sums[sums.isin(high)]
        assert dict(answer) == pytest.approx(wanted.to_dict())
        assert [score for _, score in answer] == sorted(wanted, reverse=True)
        if not wanted.empty:
            best |= set(wanted[wanted == wanted.max()].index)
    assert set(found.level1) == best


def test_merging_runs_forward_only_and_leaves_silence_out() -> None:
    near = np.array([[1.0, 0.7, 0.3], [0.7, 1.0, 0.6], [0.3, 0.6, 1.0]])
    groups = merged({"Car": 2, "Bus": 3, "Vehicle": 5, "Silence": 9, "Rain": 0}, near, NEW)
    assert [(group.tags, group.frequency) for group in groups] == [
        (("Bus", "Car"), 5.0),
        (("Car", "Vehicle"), 7.0),
        (("Vehicle",), 5.0),
    ]
    assert groups[0].text == "bus, car"


def test_both_versions_at_their_thresholds() -> None:
    near = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert [len(group.tags) for group in merged({"a": 1, "b": 1}, near, OLD)] == [1, 1]
    near[0, 1] = 0.51
    assert [len(group.tags) for group in merged({"a": 1, "b": 1}, near, OLD)] == [2, 1]
    assert [len(group.tags) for group in merged({"a": 1, "b": 1}, near, NEW)] == [1, 1]
    groups = [TagGroup(tags=(name,), frequency=float(n)) for n, name in enumerate("abcdefg")]
    assert [group.tags[0] for group in kept(groups, OLD)] == ["g", "f", "e", "d", "c"]
    assert [group.tags[0] for group in kept(groups, NEW)] == ["f", "g"]
    exactly = np.array([[0.2, 0.1]])
    one = [TagGroup(tags=("a",), frequency=1.0)]
    assert from_similarities(one, exactly, ("x", "y"), OLD).selected == ()
    assert len(from_similarities(one, exactly, ("x", "y"), NEW).selected) == 2


def test_equal_groups_count_once_in_the_published_rule_alone() -> None:
    groups = [TagGroup(tags=(name,), frequency=2.0) for name in "ab"]
    near = np.array([[0.5], [0.5]])
    assert from_similarities(groups, near, ("home",), NEW).top5 == (("home", 2.0),)
    assert from_similarities(groups, near, ("home",), SceneRule()).top5 == (("home", 4.0),)


def test_the_order_of_equal_parts_breaks_no_tie() -> None:
    groups = [TagGroup(tags=(name,), frequency=1.0) for name in "abc"]
    near = np.array([[0.1, 0.3], [0.2, 0.2], [0.3, 0.1]])
    for rule in (NEW, SceneRule()):
        (_, first), (_, second) = from_similarities(groups, near, ("x", "y"), rule).selected
        assert first == second


def test_a_recording_from_its_tags_on() -> None:
    model = Vectors(
        {
            "Bus": (1, 0, 0),
            "Engine": (0.8, 0.6, 0),
            "Bird": (0, 0, 1),
            "bus, engine": (1, 0, 0),
            "engine": (0.8, 0.6, 0),
            "bird": (0, 0, 1),
            "the bus": (0.9, np.sqrt(0.19), 0),
            "park": (0, 0.05, 0.9987),
        }
    )
    tags = {"Bus": 4, "Engine": 3, "Bird": 1, "Silence": 20}
    found = scenes_of(model, tags, ("The bus", "park"), SceneRule())
    assert [scene for scene, _ in found.selected] == ["The bus"]
    assert found.level1 == ("The bus",)
    assert found.scores["park"] == 0
    assert found.scores["The bus"] == pytest.approx(7 * 0.9 + 3 * (0.72 + 0.6 * np.sqrt(0.19)))
    assert scenes_of(model, {"Silence": 3}, ("park",), SceneRule()).selected == ()


def test_noise_has_the_power_that_its_ratio_says() -> None:
    generator = np.random.default_rng(0)
    samples = np.sin(np.arange(200_000) / 5).astype(np.float32)
    power = float(np.mean(samples**2))
    for snr_db in (-6.0, 0.0, 20.0):
        noise = at_snr(samples, noise_level(power, snr_db), generator) - samples
        measured_db = 10 * np.log10(power / np.mean(noise.astype(np.float64) ** 2))
        assert measured_db == pytest.approx(snr_db, abs=0.1)


def test_published_noise_is_as_large_as_the_median() -> None:
    generator = np.random.default_rng(0)
    samples = np.array([-1.0, 0.25, 1.0] * 1000, np.float32)
    noise = published_noise(samples, 2.0, generator) - samples
    assert np.abs(noise).max() <= 0.5
    assert np.std(noise) == pytest.approx(0.5 / np.sqrt(3), rel=0.05)
    balanced = np.array([-1.0, 0.0, 1.0] * 1000, np.float32)
    assert np.array_equal(published_noise(balanced, 100.0, generator), balanced)
