"""Learning rates by step."""

import math

import pytest

from pmam.training.schedules import (
    exponential_down,
    exponential_ramp,
    linear_ramp,
    sigmoid_ramp,
    warm_up,
)


def test_schedules_by_hand() -> None:
    assert [warm_up(step, 4) for step in range(6)] == pytest.approx(
        [0.1, 0.325, 0.55, 0.775, 1.0, 1.0]
    )
    assert exponential_ramp(0, 10) == pytest.approx(math.exp(-5))
    assert exponential_ramp(5, 10) == pytest.approx(math.exp(-1.25))
    assert sigmoid_ramp(5, 10) == 0.5
    assert linear_ramp(5, 20) == 0.25
    for ramp in (exponential_ramp, sigmoid_ramp, linear_ramp):
        assert ramp(10, 10) == ramp(99, 10) == ramp(0, 0) == 1.0
    assert exponential_down(9, 10, 3, -3.0) == pytest.approx(math.exp(-3))
    assert exponential_down(2, 10, 3, -3.0) == 1.0
