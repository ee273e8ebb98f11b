"""Information criteria: how much likelihood a mixture must gain to be worth its parameters."""

import math


def aic(log_likelihood: float, free_parameters: int) -> float:
    """2 p - 2 log L: lower is better (Akaike 1974). `log_likelihood` is the sum over all frames."""
    return 2 * free_parameters - 2 * log_likelihood


def bic(log_likelihood: float, free_parameters: int, frames: int) -> float:
    """p log N - 2 log L: lower is better (Schwarz 1978).

    Frames of one recording resemble each other, so N overstates what they tell apart: compare
    mixtures on the same frames, and look at the held-out likelihood beside it.
    """
    return free_parameters * math.log(frames) - 2 * log_likelihood
