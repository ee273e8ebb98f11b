"""Every context network: shapes, padding, layers, and that it can look around."""

from dataclasses import replace

import pytest
import tiny_models
import torch
from torch import nn

from pmam.models.context.registry import CONTEXTS, build_context
from pmam.models.context.transformer_xl import ContextNetwork
from pmam.models.detector import DetectorModel
from pmam.models.settings import ContextSettings
from pmam.settings import from_json, to_json

SETTINGS = ContextSettings(width=16, layers=2, heads=2, hidden=24, dropout=0.0)


def network(name: str) -> ContextNetwork:
    torch.manual_seed(0)
    return build_context(replace(SETTINGS, network=name)).eval()


def ends_at(lengths: list[int], frames: int) -> torch.Tensor:
    return torch.arange(frames)[None] >= torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("name", CONTEXTS)
def test_any_length_and_no_padding_is_padding_of_no_frame(name: str) -> None:
    model = network(name)
    for frames in (1, 7, 40):
        x = torch.randn(3, frames, 16)
        y = model(x)
        assert y.shape == x.shape
        torch.testing.assert_close(model(x, torch.zeros(3, frames, dtype=torch.bool)), y)


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_padded_clip_gives_what_it_gives_alone(name: str) -> None:
    model = network(name)
    x = torch.randn(3, 50, 16)
    lengths = [50, 31, 1]
    together = model(x, ends_at(lengths, 50))
    for clip, length in enumerate(lengths):
        alone = model(x[clip : clip + 1, :length])
        torch.testing.assert_close(together[clip : clip + 1, :length], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_clip_of_padding_alone_is_no_nan_and_has_no_gradient_of_nan(name: str) -> None:
    model = network(name).train()
    x = torch.randn(2, 9, 16, requires_grad=True)
    padding = ends_at([9, 0], 9)
    y = model(x, padding)
    assert torch.isfinite(y).all()
    y[~padding].sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_first_layers_are_the_first_blocks(name: str) -> None:
    model = network(name)
    x = torch.randn(1, 6, 16)
    torch.testing.assert_close(model(x, layers=len(model.blocks)), model(x))
    if model.blocks:
        assert not torch.allclose(model(x, layers=1), model(x))


@pytest.mark.parametrize("name", CONTEXTS)
def test_what_was_scored_can_be_trained(name: str) -> None:
    model = network(name)
    x = torch.randn(1, 6, 16, requires_grad=True)
    with torch.inference_mode():
        model(x)
    model(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize(("name", "learns"), [(n, n != "none") for n in CONTEXTS])
def test_it_learns_what_the_frame_before_the_last_was(name: str, learns: bool) -> None:
    """Each frame is told by its neighbour: only a network with context can know."""
    torch.manual_seed(0)
    settings = replace(SETTINGS, network=name, layers=1)
    model = nn.Sequential(nn.Linear(1, 16), build_context(settings), nn.Linear(16, 1)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    loss = torch.tensor(0.0)
    for _ in range(250):
        x = torch.randn(16, 12, 1)
        loss = (model(x)[:, 1:] - x[:, :-1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (loss.item() < 0.5) == learns, loss.item()


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_detector_has_it_and_its_settings_survive_json(name: str) -> None:
    context = replace(tiny_models.CONTEXT, network=name)
    assert from_json(ContextSettings, to_json(context)) == context
    backbone = tiny_models.backbone(context)
    said = DetectorModel(backbone, ("a", "b")).eval()(torch.randn(2, 80, 64), ends_at([20, 7], 20))
    assert said.frames.shape == (2, 20, 2)
    layer = backbone.layer(torch.randn(1, 80, 64), "context")
    assert layer.shape == (1, 20, backbone.layer_width("context"))


def test_old_settings_mean_the_transformer_and_unknown_names_are_refused() -> None:
    assert from_json(ContextSettings, {"width": 8}).network == "transformer_xl"
    with pytest.raises(ValueError, match="'lstm': expected one of transformer_xl, gru"):
        build_context(replace(SETTINGS, network="lstm"))
    with pytest.raises(ValueError, match="even number"):
        build_context(replace(SETTINGS, network="gru", width=15))
