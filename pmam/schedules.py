"""How learning rates and loss weights change over the steps of a training."""

import math


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


def sigmoid_ramp(step: int, ramp_steps: int) -> float:
    """Weight of the consistency loss, `exp(-5 (1 - p)^2)` (arXiv 1703.01780, appendix B)."""
    if step >= ramp_steps:
        return 1.0
    return math.exp(-5.0 * (1.0 - step / ramp_steps) ** 2)


def ema_decay(step: int, limit: float) -> float:
    """Decay of the teacher: a plain mean of students at first, then `limit`."""
    return min(1.0 - 1.0 / (step + 2), limit)
