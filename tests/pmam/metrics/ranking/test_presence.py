"""Numbers of yes-or-no answers against scikit-learn's."""

import math

import numpy as np
import pytest
import sklearn.metrics as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from pmam.errors import InputError
from pmam.metrics.ranking.presence import (
    NUMBERS,
    Answers,
    adjusted_rand_index,
    auc,
    confusion,
    intervals,
    partial_auc,
)


def answers(rows: list[tuple[float, bool, bool]]) -> Answers:
    scores, said, true = (np.array(column) for column in zip(*rows, strict=True))
    return Answers(scores=scores, said=said, true=true, clip=np.arange(len(rows)))


ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]), st.booleans(), st.booleans()),
    min_size=2,
    max_size=25,
)


@given(ROWS)
def test_numbers_are_those_of_scikit_learn(rows: list[tuple[float, bool, bool]]) -> None:
    given_answers = answers(rows)
    ones = np.ones(len(rows))
    got = {name: number(given_answers, ones) for name, number in NUMBERS.items()}
    true, said = given_answers.true.astype(int), given_answers.said.astype(int)
    assert got["accuracy"] == pytest.approx(theirs.accuracy_score(true, said))
    if (true | said).any():
        assert got["micro_f1"] == pytest.approx(theirs.f1_score(true, said))
    else:
        assert math.isnan(got["micro_f1"])
    assert got["rmse"] == pytest.approx(np.sqrt(theirs.mean_squared_error(true, said)))
    assert got["ari"] == pytest.approx(theirs.adjusted_rand_score(true, said))
    assert got["nmi"] == pytest.approx(theirs.normalized_mutual_info_score(true, said))
    assert (
        confusion(given_answers, ones) == theirs.confusion_matrix(true, said, labels=[0, 1])
    ).all()
    if 0 < true.sum() < len(true):
        assert got["auc"] == pytest.approx(theirs.roc_auc_score(true, given_answers.scores))
    else:
        assert math.isnan(got["auc"]) and math.isnan(got["partial_auc"])


@settings(max_examples=40)
@given(ROWS, st.sampled_from([0.3, 0.5, 1.0]), st.sampled_from([0.0, 0.4, 0.7]))
def test_the_partial_area_is_that_of_a_fine_grid(
    rows: list[tuple[float, bool, bool]], max_fpr: float, min_tpr: float
) -> None:
    given_answers = answers(rows)
    true = given_answers.true
    if not 0 < true.sum() < len(true):
        return
    fpr, tpr, _ = theirs.roc_curve(true, given_answers.scores)
    middles = (np.arange(20_000) + 0.5) * max_fpr / 20_000
    heights = np.maximum(np.interp(middles, fpr, tpr) - min_tpr, 0)
    expected = heights.mean() / (1 - min_tpr)
    got = partial_auc(given_answers, np.ones(len(rows)), max_fpr, min_tpr)
    assert got == pytest.approx(expected, abs=1e-3)


def test_a_perfect_and_a_useless_ranking() -> None:
    rows = [(1.0, True, True), (0.9, True, True), (0.1, False, False), (0.0, False, False)]
    ones = np.ones(4)
    assert partial_auc(answers(rows), ones) == auc(answers(rows), ones) == 1
    turned = [(score, said, not true) for score, said, true in rows]
    assert partial_auc(answers(turned), ones) == auc(answers(turned), ones) == 0


@given(ROWS, st.data())
def test_weights_are_repetitions(rows: list[tuple[float, bool, bool]], data: st.DataObject) -> None:
    counts = [data.draw(st.integers(0, 3)) for _ in rows]
    repeated = [row for row, count in zip(rows, counts, strict=True) for _ in range(count)]
    if not repeated:
        return
    for name, number in NUMBERS.items():
        weighted = number(answers(rows), np.array(counts, float))
        assert weighted == pytest.approx(
            number(answers(repeated), np.ones(len(repeated))), nan_ok=True
        ), name


def test_intervals_hold_the_number_and_draw_clips_whole() -> None:
    generator = np.random.default_rng(0)
    true = generator.random(60) < 0.4
    scores = np.where(true, 0.3, 0.0) + generator.random(60)
    each = Answers(scores=scores, said=scores > 0.6, true=true, clip=np.arange(60))
    for name, interval in intervals(each, draws=200).items():
        assert interval.low <= interval.value <= interval.high, name
    # Two of one clip are drawn together: the interval is as wide as without the second.
    twice = Answers(
        scores=np.tile(scores, 2),
        said=np.tile(each.said, 2),
        true=np.tile(true, 2),
        clip=np.tile(np.arange(60), 2),
    )
    assert intervals(twice, draws=200)["accuracy"] == intervals(each, draws=200)["accuracy"]
    one = answers([(0.5, True, True)])
    assert math.isnan(intervals(one, draws=10)["auc"].low)
    assert adjusted_rand_index(one, np.zeros(1)) != 0


def test_bad_answers() -> None:
    with pytest.raises(InputError, match="one length"):
        Answers(scores=np.ones(2), said=np.ones(1, bool), true=np.ones(2, bool), clip=np.arange(2))
    with pytest.raises(InputError, match="NaN"):
        answers([(float("nan"), True, True)])
