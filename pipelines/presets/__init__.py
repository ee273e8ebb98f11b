"""The runs that have a name, and their variants; each is derived from another by `replace`."""

from collections.abc import Callable

from pipelines.presets.ablations import ABLATIONS, ablated, changed
from pipelines.presets.demo import demo, own_data_scratch
from pipelines.presets.esc10 import esc10, own_data, words
from pipelines.presets.paper import paper
from pipelines.presets.settings import RunSettings

__all__ = ["ABLATIONS", "PRESETS", "RunSettings", "ablated", "changed", "demo", "esc10", "paper"]

PRESETS: dict[str, Callable[[], RunSettings]] = {
    "demo": demo,
    "esc10": esc10,
    "own_data": own_data,
    "own_data-scratch": own_data_scratch,
    "words": words,
    "small": own_data,  # its name of before
    "paper": paper,
    # The mask rate that the paper states; its published configuration has 0.8.
    "paper-0.75": lambda: changed(paper(), "pretrain.pretext.mask.rate", 0.75),
}
