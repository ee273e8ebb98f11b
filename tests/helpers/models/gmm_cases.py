"""Frames of a few clusters, and where a mixture starts to find them."""

import numpy as np

from pmam.mixture.covariance_types import covariance_of


def clusters(count=600, width=5, components=3, seed=0, spread=4.0):
    generator = np.random.default_rng(seed)
    means = spread * generator.standard_normal((components, width))
    shapes = generator.standard_normal((components, width, width)) / 3 + np.eye(width)
    labels = generator.integers(components, size=count)
    noise = generator.standard_normal((count, width))
    return means[labels] + np.einsum("nd,ned->ne", noise, shapes[labels]), means


def identity(covariance_type, components, width):
    shape = covariance_of(covariance_type).shape(components, width)
    ones = np.ones(shape)
    return ones if covariance_type in ("diag", "spherical") else ones * np.eye(width)


def start_near(means, covariance_type):
    components, width = means.shape
    return {
        "covariance_type": covariance_type,
        "weights_init": np.full(components, 1 / components),
        "means_init": means + 0.5,
        "precisions_init": identity(covariance_type, components, width),
    }
