"""One EM iteration of ours and of scikit-learn's, from the same parameters."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.mixture import GaussianMixture as Reference
from threadpoolctl import threadpool_limits

from pmam.mixture.e_step import responsibilities, statistics
from pmam.mixture.em import FitState
from pmam.mixture.gaussian_mixture import GaussianMixture
from pmam.mixture.m_step import m_step
from pmam.mixture.parameters import MixtureParameters

K = 30
# scikit-learn's float32 covariances of real frames are not positive definite with its default.
REG_COVAR = 1e-3
FIRST = 5
ACTIVE = 1e-12

warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")


def copied(parameters: MixtureParameters) -> MixtureParameters:
    """The same numbers, with nothing computed from them yet."""
    return MixtureParameters(
        covariance_type="full",
        weights=parameters.weights,
        means=parameters.means,
        covariances=parameters.covariances,
    )


def states(frames: torch.Tensor, cache: Path, most: int) -> list[MixtureParameters]:
    """Parameters before each of the first five iterations from k-means, and near convergence.

    Kept in the cache: a rerun measures the same parameters.
    """
    path = cache / f"states-{len(frames)}x{frames.shape[1]}-{most}.safetensors"
    if not path.exists():
        mixture = GaussianMixture(K, reg_covar=REG_COVAR, max_iter=most)
        found = [mixture.initialise(frames).parameters_]

        def keep(iteration: int, log_likelihood: float) -> None:
            print(
                f"\rD {frames.shape[1]}, iteration {iteration}: {log_likelihood:.4f}",
                end="",
                flush=True,
            )
            if iteration < FIRST:
                found.append(mixture.parameters_)

        mixture.fit(frames, start=mixture.state_, on_iteration=keep)
        print("" if mixture.converged_ else " (not converged)")
        named = {}
        for number, parameters in enumerate([*found[:FIRST], mixture.parameters_]):
            for name, tensor in FitState(parameters=parameters).tensors().items():
                named[f"{number}.{name}"] = tensor
        save_file(named, path)
    tensors = load_file(path)
    count = 1 + max(int(name.split(".")[0]) for name in tensors)
    return [
        FitState.from_tensors(
            {name.split(".")[1]: t for name, t in tensors.items() if name.startswith(f"{i}.")},
            "full",
        ).parameters
        for i in range(count)
    ]


@contextmanager
def processor_time() -> Iterator[Callable[[], float]]:
    """Seconds of processor time since the block began."""
    start = time.process_time()
    yield lambda: time.process_time() - start


def ours(frames: torch.Tensor, parameters: MixtureParameters) -> tuple[float, float]:
    """Processor seconds of an iteration, and the mean log-likelihood before it."""
    fresh = copied(parameters)
    with processor_time() as seconds:
        total = statistics(frames, fresh)
        m_step(total, "full", REG_COVAR)
        took = seconds()
    return took, total.log_likelihood / total.frames


def reference(parameters: MixtureParameters, dtype: np.dtype) -> Reference:
    """scikit-learn's mixture with these parameters, in a precision."""
    mixture = Reference(K, reg_covar=REG_COVAR, tol=0.0)
    mixture.weights_ = parameters.weights.numpy().astype(dtype)
    mixture.means_ = parameters.means.numpy().astype(dtype)
    mixture.covariances_ = parameters.covariances.numpy().astype(dtype)
    mixture.precisions_cholesky_ = parameters.precision_factors.numpy().astype(dtype)
    return mixture


def theirs(mixture: Reference, frames: np.ndarray) -> tuple[float, float]:
    """Processor seconds of an iteration, and the mean log-likelihood before it."""
    with threadpool_limits(1), processor_time() as seconds:
        log_likelihood, log_responsibilities = mixture._e_step(frames)
        mixture._m_step(frames, log_responsibilities)
        took = seconds()
    return took, float(log_likelihood)


def active(frames: torch.Tensor, parameters: MixtureParameters) -> float:
    """Components per frame whose responsibility is over 1e-12, on every tenth frame."""
    posteriors, _ = responsibilities(frames[::10], parameters)
    return float((posteriors > ACTIVE).double().sum(dim=1).mean())
