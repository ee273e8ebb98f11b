"""LoRA: nothing changes at first, little is trained, and each change counts once."""

import pytest
import torch
from torch import nn

from pmam.encoders.lora import add_lora, merged_state_dict
from pmam.encoders.settings import LoraSettings

SETTINGS = LoraSettings(rank=2, alpha=1.0)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3, bias=False))


def changed(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_b" in name:
                parameter.normal_()
    return model


def test_nothing_changes_at_first() -> None:
    model, x = network(), torch.randn(4, 6)
    before = model(x)
    add_lora(model, SETTINGS)
    assert torch.equal(model(x), before)


def test_only_the_factors_learn() -> None:
    model = network()
    add_lora(model, SETTINGS)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {"0.lora_a", "0.lora_b", "2.lora_a", "2.lora_b"}


def test_merging_does_the_same_once() -> None:
    model, plain, x = network(), network(), torch.randn(4, 6)
    add_lora(model, SETTINGS)
    changed(model)
    state = merged_state_dict(model)
    assert state.keys() == plain.state_dict().keys()
    plain.load_state_dict(state)
    torch.testing.assert_close(plain(x), model(x))
    # Saving leaves the model as it was: a second save is the same.
    again = merged_state_dict(model)
    assert all(torch.equal(again[name], state[name]) for name in state)
    assert not torch.equal(state["0.weight"], model.state_dict()["0.weight"])


def test_a_second_lora_is_refused_until_the_first_is_merged() -> None:
    model = network()
    add_lora(model, SETTINGS)
    with pytest.raises(ValueError, match="merge it first"):
        add_lora(model, SETTINGS)
    with pytest.raises(ValueError, match="no linear layers"):
        add_lora(nn.GELU(), SETTINGS)
    with pytest.raises(ValueError, match="at least 0"):
        LoraSettings(rank=-1)
