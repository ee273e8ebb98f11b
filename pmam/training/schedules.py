"""How learning rates and loss weights change over the steps of a training."""

import math
from collections.abc import Callable, Sequence

PLATEAU_GAIN = 1e-4  # relative; less is no gain


def exponential_down(step: int, steps: int, flat_steps: int, exponent: float) -> float:
    """Scale of the learning rate: 1 while flat, then `exp(exponent * phase^2)`.

    The phase grows from 0 to 1 over the steps after the flat part (ExponentialDown of MAT-SED).
    """
    if step < flat_steps or steps <= flat_steps:
        return 1.0
    phase = (step + 1 - flat_steps) / (steps - flat_steps)
    return math.exp(exponent * min(phase, 1.0) ** 2)


def warm_up(step: int, warm_up_steps: int, start: float = 0.1) -> float:
    """Scale that grows linearly from `start` at step 0 to 1 at `warm_up_steps`."""
    if step >= warm_up_steps:
        return 1.0
    return start + (1 - start) * step / warm_up_steps


def late_warm_up(step: int, warm_up_steps: int, start: float = 0.1) -> float:
    """`warm_up` as in PMAM's code: it starts after the first step, which takes the full rate."""
    return 1.0 if step == 0 else warm_up(step + 1, warm_up_steps, start)


def plateau_scale(values: Sequence[float], patience: int, factor: float) -> float:
    """Scale of the learning rate after these values of a metric, the higher the better.

    It falls by `factor` after each `patience + 1` values in a row of which none is above the best
    by more than a ten-thousandth of it: `ReduceLROnPlateau` of torch, as a pure function.
    """
    best, bad, scale = -math.inf, 0, 1.0
    for value in values:
        if value > best * (1 + PLATEAU_GAIN):
            best, bad = value, 0
        else:
            bad += 1
        if bad > patience:
            scale, bad = scale * factor, 0
    return scale


def exponential_ramp(step: int, ramp_steps: int) -> float:
    """Weight of the consistency loss, `exp(-5 (1 - p)^2)` (arXiv 1703.01780, appendix B)."""
    if step >= ramp_steps:
        return 1.0
    return math.exp(-5.0 * (1.0 - step / ramp_steps) ** 2)


def sigmoid_ramp(step: int, ramp_steps: int) -> float:
    """Weight of the consistency loss, `1 / (1 + exp(-10 (p - 1/2)))`, and 1 at the end (PMAM)."""
    if step >= ramp_steps:
        return 1.0
    return 1.0 / (1.0 + math.exp(-10.0 * (step / ramp_steps - 0.5)))


def linear_ramp(step: int, ramp_steps: int) -> float:
    """Weight of the consistency loss, from 0 to 1 in equal steps."""
    return 1.0 if step >= ramp_steps else step / ramp_steps


# How the consistency loss comes in, by name; p is the share of the ramp that is done.
RAMPS: dict[str, Callable[[int, int], float]] = {
    "exponential": exponential_ramp,
    "sigmoid": sigmoid_ramp,
    "linear": linear_ramp,
}


def ema_decay(step: int, limit: float) -> float:
    """Decay of the teacher: a plain mean of students at first, then `limit`."""
    return min(1.0 - 1.0 / (step + 2), limit)
