"""Resamples of the recordings that soundscapes are mixed of, since clips share them."""

import json
from collections.abc import Sequence

import numpy as np

from pmam.events.event import FloatArray


def sources_of(recipes: bytes) -> dict[str, frozenset[tuple[str, str]]]:
    """Class and source of the events of each clip, by its name, out of lines of JSON."""
    found = {}
    for line in recipes.decode().splitlines():
        recipe = json.loads(line)
        found[str(recipe["id"])] = frozenset(
            (event["label"], event["source"]) for event in recipe["events"]
        )
    return found


def source_draws(
    clips: Sequence[frozenset[tuple[str, str]]], draws: int, seed: int = 0
) -> FloatArray:
    """Weights `(draws, clips)`: how often all sources of a clip were drawn, by their product.

    Of each class as many sources are drawn as it has. The product is the pigeonhole bootstrap
    (Owen 2007, doi:10.1214/07-AOAS122), whose intervals are too wide rather than too narrow. A clip
    without events is always there once.
    """
    rng = np.random.default_rng(seed)
    every = sorted(frozenset().union(*clips))
    place = {source: n for n, source in enumerate(every)}
    counts = np.zeros((draws, len(every)))
    for label in sorted({label for label, _ in every}):
        own = [place[source] for source in every if source[0] == label]
        counts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=draws)
    weights = [counts[:, [place[s] for s in clip]].prod(axis=1) for clip in clips]
    return np.stack(weights, axis=1)
