"""The five networks against the reference's own numbers (parity items 09), for any seed of them."""

from pathlib import Path
from typing import Any

import numpy as np
import parity_rule as rule
import pytest
import torch
from torch import Tensor

from pmam.weak_labels.networks import WeakOutput
from pmam.weak_labels.published_names import family_of, ours, shape_of
from pmam.weak_labels.registry import NETWORKS

ITEMS = {
    "mtl": "09_mtl_MTL_SEDNetwork",
    "gmp": "09_mtl_GMP",
    "gap": "09_mtl_GAP",
    "gwrp": "09_mtl_GWRP",
    "atrous": "09_mtl_AttrousCNN_2DAttention",
}


def published_weights(meta: dict[str, Any]) -> dict[str, Tensor]:
    """The state dict of a fixture, with the overrides that its JSON tells in words."""
    tensors = rule.tensors(meta)
    if "overrides" in meta:
        assert set(meta["overrides"]) == {
            *("dsa.*.weight (4 linears)", "dec.cb4.conv2.weight", "dec.cb4.bn1.bias", "why")
        }
        for name in tensors:
            if name.startswith("dsa.") and name.endswith(".weight"):
                tensors[name] = tensors[name] * 8
        tensors["dec.cb4.conv2.weight"] = tensors["dec.cb4.conv2.weight"].abs()
        tensors["dec.cb4.bn1.bias"] = tensors["dec.cb4.bn1.bias"] + np.float32(0.5)
    return tensors


def log_mel(meta: dict[str, Any]) -> Tensor:
    """The input of a fixture, `(2, 311, 64)`."""
    coarse = rule.rng("mtl.coarse", meta["seed"]).standard_normal((2, 13, 8))
    noise = rule.rng("mtl.noise", meta["seed"]).standard_normal((2, 311, 64))
    grown = np.repeat(np.repeat(coarse, 24, axis=1)[:, :311], 8, axis=2)
    return torch.from_numpy((0.7 * grown + 0.5 * noise).astype(np.float32))


@torch.inference_mode()
def run(model: str, meta: dict[str, Any]) -> tuple[torch.nn.Module, Tensor, WeakOutput]:
    published = published_weights(meta)
    settings, classes = shape_of(published, model)
    network = NETWORKS[model](settings, classes).eval()
    network.load_state_dict(ours(published))
    inputs = log_mel(meta)
    return network, inputs, network(inputs)


@pytest.mark.parametrize("model", ITEMS)
def test_a_network_gives_the_references_numbers(parity_dir: Path, model: str) -> None:
    meta, expected = rule.load(parity_dir, ITEMS[model])
    network, inputs, found = run(model, meta)
    told = {"y_pred"}
    rule.assert_close(meta, expected, "y_pred", found.clips)
    with torch.inference_mode():
        if model == "mtl":
            assert found.maps is not None and found.reconstruction is not None
            features = network.stages(inputs[:, None])  # type: ignore[operator]
            cells = network.class_map(features)  # type: ignore[operator]
            outputs = {
                "enc": features[:, ::17, ::23, ::7],
                "class_wise_input": cells[:, ::5, ::13, ::7],
                "x_rec": found.reconstruction[:, ::5, ::3],
                "mel_attw": found.maps.mel[:, ::5, ::13, ::5],
                "time_attw": found.maps.time[:, ::3, ::5],
                "mel_x": found.maps.values[:, ::3, ::5],
            }
        elif model == "atrous":
            features = network.stages(inputs[:, None])  # type: ignore[operator]
            outputs = {"emb": features[:, ::17, ::23, ::7]}
        else:
            outputs = {"bottleneck": found.cells[:, ::5, ::13, ::7]}
    for name, value in outputs.items():
        rule.assert_close(meta, expected, name, value)
    assert {*outputs, *told} == set(meta["outputs"])  # nothing of the item is left out


@pytest.mark.parametrize("model", ITEMS)
def test_a_published_file_is_recognised(parity_dir: Path, model: str) -> None:
    meta, _ = rule.load(parity_dir, ITEMS[model])
    published = rule.tensors(meta)
    family = "pooled" if model in ("gmp", "gap", "gwrp") else model
    assert family_of(published) == family
    settings, classes = shape_of(published, model)
    assert (settings.width, settings.mels, settings.frames, classes) == (32, 64, 311, 41)
