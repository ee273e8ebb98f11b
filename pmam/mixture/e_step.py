"""Expectation-maximisation of a Gaussian mixture from statistics that add up.

The E-step of a block of frames gives statistics; those of two blocks, or of two workers, add; and
the M-step sees the sum alone.
(Dempster, Laird and Rubin 1977; Bishop, Pattern Recognition and Machine Learning, section 9.2.)
"""

import math

import torch

from pmam.errors import InputError
from pmam.mixture.frame_blocks import ROWS_ON_CPU, Array, Frames, absorbed, steps_of
from pmam.mixture.mahalanobis import FEWEST, MARGIN
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.sufficient_statistics import SufficientStatistics, sum_of

# Frames a step: enough for each component to have a share that fills a product, and for the sums
# in float64, of K D^2 numbers, to be touched seldom.
LARGE_STEP = 16384


def log_joint(
    x: torch.Tensor, parameters: MixtureParameters, margin: float = MARGIN
) -> torch.Tensor:
    """log(weight_k N(x; mean_k, covariance_k)), `(n, K)` in float64, of frames `(n, D)`.

    Minus infinity where a component is hopelessly behind the best one: by `margin` nats
    (`pmam.mixture.mahalanobis`).
    """
    width = x.shape[1]
    constant = parameters.log_determinants - 0.5 * width * math.log(2 * math.pi)
    offsets = parameters.weights.log() + constant  # (K,)
    squares = parameters.covariance.squares(x, parameters, offsets, margin)
    return offsets - 0.5 * squares.double()


def responsibilities(
    x: torch.Tensor, parameters: MixtureParameters, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Posteriors `(n, K)` and log-likelihoods `(n,)` of frames `(n, D)`, in float64.

    A `temperature` above 1 softens the posteriors: these are in proportion to the joint
    probabilities to the power of 1 / temperature. The log-likelihoods know nothing of it.
    """
    joint = log_joint(x, parameters, MARGIN * max(1.0, temperature))
    log_likelihoods = joint.logsumexp(dim=1)
    if temperature != 1:
        return (joint / temperature).softmax(dim=1), log_likelihoods
    return (joint - log_likelihoods[:, None]).exp_(), log_likelihoods


def statistics(frames: Frames, parameters: MixtureParameters) -> SufficientStatistics:
    """The E-step: the statistics of all frames under the parameters, on the parameters' device."""

    def absorb(total: SufficientStatistics, x: torch.Tensor) -> None:
        _check_width(x, parameters)
        posteriors, log_likelihoods = responsibilities(x, parameters)
        total.absorb(x, posteriors, float(log_likelihoods.sum()))

    def zeros() -> SufficientStatistics:
        return SufficientStatistics.zeros(parameters.means, parameters.covariance_type)

    device = parameters.means.device
    if parameters.means.shape[1] >= FEWEST:  # products that fill all threads; sums that fill memory
        total = zeros()
        for x in steps_of(frames, device, LARGE_STEP):
            absorb(total, x)
        return total
    parameters.prepare()
    return sum_of(absorbed(frames, device, LARGE_STEP, zeros, absorb))


def log_likelihood(frames: Frames, parameters: MixtureParameters) -> tuple[float, int]:
    """The summed log-likelihood in nats, and the number of frames, in one pass."""

    def absorb(sums: list[float], x: torch.Tensor) -> None:
        _check_width(x, parameters)
        sums[0] += float(log_joint(x, parameters).logsumexp(dim=1).sum())
        sums[1] += len(x)

    parameters.prepare()
    parts = absorbed(frames, parameters.means.device, ROWS_ON_CPU, lambda: [0.0, 0], absorb)
    count = int(sum(frames for _, frames in parts))
    if count == 0:
        raise InputError("frames: got none; expected at least one to score")
    return sum(total for total, _ in parts), count


def evaluate(x: Array, parameters: MixtureParameters) -> tuple[torch.Tensor, torch.Tensor]:
    """`responsibilities` of frames `(N, D)` of any number, in steps of bounded memory."""
    components, width = parameters.means.shape
    if x.ndim != 2 or x.shape[1] != width:
        raise InputError(
            f"frames: got shape {tuple(x.shape)}; expected (N, {width}), D of the mixture"
        )
    pieces = steps_of(x, parameters.means.device)
    pairs = [responsibilities(piece, parameters) for piece in pieces]
    none = parameters.means.new_zeros(0, components)
    return (
        torch.cat([none, *(posteriors for posteriors, _ in pairs)]),
        torch.cat([none[:, 0], *(scores for _, scores in pairs)]),
    )


def _check_width(x: torch.Tensor, parameters: MixtureParameters) -> None:
    if x.shape[1] != parameters.means.shape[1]:
        raise InputError(
            f"frames: got D = {x.shape[1]}; expected D = {parameters.means.shape[1]}, "
            "that of the mixture"
        )
