"""What the command lines of these benchmarks share: their data, and a session to work in."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from low_label.data import COUNTS, FEWEST, esc10, folds_with, load, mn04
from low_label.domains import far
from low_label.places import Places
from low_label.workbench import Workbench

from cluster.session import session

TINY_STEPS = 4


def parser(description: str, cache: str, seeds: int) -> argparse.ArgumentParser:
    """The options that all have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--data", type=Path, required=True, help="ESC-10: esc10.csv and audio/")
    made.add_argument("--weights", type=Path, required=True, help="EfficientAT mn04_as")
    made.add_argument("--cache", type=Path, required=True, help=cache)
    made.add_argument("--seeds", type=int, default=seeds, help="pretrainings of each arm")
    made.add_argument("--test-fold", type=int, default=5, choices=range(1, 6), help="of recordings")
    made.add_argument(
        "--domain", default="plain", choices=["plain", "far"], help="far: by telephone, reverberant"
    )
    made.add_argument("--threads", type=int, default=1)
    made.add_argument(
        "--tiny", action="store_true", help="few clips and steps, to see that all works"
    )
    return made


@contextlib.contextmanager
def workbench(arguments: argparse.Namespace, seed: int = 0) -> Iterator[Workbench]:
    """The data of a command line, made or taken from its cache; `seed` is of the soundscapes."""
    torch.set_num_threads(arguments.threads)
    places = Places(arguments.cache)
    mixing = esc10(FEWEST if arguments.tiny else COUNTS, seed, folds_with(arguments.test_fold))
    recordings = arguments.data
    if arguments.domain == "far":
        recordings = far(recordings, arguments.cache / "far")
    with session():
        data = load(recordings, places, mixing, mn04(arguments.weights))
        yield Workbench(data, places, TINY_STEPS if arguments.tiny else None)
