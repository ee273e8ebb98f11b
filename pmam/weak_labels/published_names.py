"""Checkpoints of the MTL repository: whose they are, their names of tensors, their shape."""

import re
from collections.abc import Mapping

from torch import Tensor

from pmam.weak_labels.settings import WeakNetworkSettings

# The published order of outputs: the labels of DCASE 2018 task 2, sorted.
DCASE2018_CLASSES = (
    *("Acoustic_guitar", "Applause", "Bark", "Bass_drum", "Burping_or_eructation", "Bus", "Cello"),
    *("Chime", "Clarinet", "Computer_keyboard", "Cough", "Cowbell", "Double_bass"),
    *("Drawer_open_or_close", "Electric_piano", "Fart", "Finger_snapping", "Fireworks", "Flute"),
    *("Glockenspiel", "Gong", "Gunshot_or_gunfire", "Harmonica", "Hi-hat", "Keys_jangling"),
    *("Knock", "Laughter", "Meow", "Microwave_oven", "Oboe", "Saxophone", "Scissors", "Shatter"),
    *("Snare_drum", "Squeak", "Tambourine", "Tearing", "Telephone", "Trumpet"),
    *("Violin_or_fiddle", "Writing"),
)
# What a name begins with there, and what it is here; `{}` is the number of a block, from 0.
_MTL = {
    r"enc\.cb(\d)\.": "stages.{}.",
    r"enc\.class_conv\.": "class_map.",
    r"dec\.cb(\d)\.": "decoder.stages.{}.",
    r"dsa\.fc_mel_att\.": "attention.mel_weights.",
    r"dsa\.fc_mel_prob\.": "attention.mel_values.",
    r"dsa\.fc_time_att\.": "attention.time_weights.",
    r"dsa\.fc_time_prob\.": "attention.time_values.",
}
_POOLED = {
    r"bottleneck\.conv_block(\d)\.": "stages.{}.",
    r"bottleneck\.final_conv\.": "class_map.",
}
_ATROUS = {r"attention\.att\.": "attention.weights.", r"attention\.cla\.": "attention.values."}
# Layers of a block by their place in it.
_IN_BLOCK = {"conv1.": "0.", "bn1.": "1.", "conv2.": "3.", "bn2.": "4."}
# A tensor that the files of a network hold, and no others. The three pooled networks have the same.
MARKS = {
    "dsa.fc_time_att.weight": "mtl",
    "bottleneck.final_conv.weight": "pooled",
    "attention.cla.weight": "atrous",
}


def family_of(published: Mapping[str, Tensor]) -> str | None:
    """`mtl`, `pooled` (gmp, gap or gwrp) or `atrous`; None for a file of something else."""
    return next((family for mark, family in MARKS.items() if mark in published), None)


def our_name(name: str) -> str:
    """The name of a published tensor in our networks; as it is where it is none of theirs."""
    for pattern, here in {**_MTL, **_POOLED, **_ATROUS}.items():
        if found := re.match(pattern, name):
            begin = here.format(*(int(group) - 1 for group in found.groups()))
            return begin + _inside(name[found.end() :])
    if found := re.match(r"emb\.(conv|bn)(\d)\.", name):  # of atrous: one chain of layers
        layer = 3 * (int(found[2]) - 1) + (found[1] == "bn")
        return f"stages.{layer}.{name[found.end() :]}"
    return name


def _inside(name: str) -> str:
    layer, dot, leaf = name.partition(".")
    return _IN_BLOCK.get(layer + dot, layer + dot) + leaf


def ours(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published tensors under our names; what is always the same (ranks' weights) is left out."""
    return {our_name(name): value for name, value in published.items()}


def shape_of(published: Mapping[str, Tensor], model: str) -> tuple[WeakNetworkSettings, int]:
    """Settings and number of classes that a published file was made for.

    Raises:
        KeyError: a tensor is missing.
    """
    tensors = ours(published)
    first = len(tensors["stages.0.weight" if model == "atrous" else "stages.0.0.weight"])
    width = first // 2 if model == "atrous" else first
    out = tensors["attention.values.weight" if model == "atrous" else "class_map.weight"]
    plain = WeakNetworkSettings(model=model, width=width)
    if model != "mtl":
        return plain, len(out)
    return (
        WeakNetworkSettings(
            model=model,
            width=width,
            mels=len(tensors["attention.mel_weights.bias"]),
            frames=len(tensors["attention.time_weights.bias"]),
        ),
        len(out),
    )
