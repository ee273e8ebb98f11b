"""The context network against numbers of the reference."""

from pathlib import Path

import numpy as np
import torch
from parity_rule import load, rng, state_dict, tolerance

from pmam.models.context.transformer_xl import TransformerXL, relative_positions, relative_shift


def reference_decoder(meta: dict) -> TransformerXL:
    """Our network with the reference's weights, by the names of its state dict."""
    model = TransformerXL(width=384, layers=3, heads=12, hidden=384, dropout=0.0)
    renamed = {
        key.removeprefix("decoder.encoder_")
        .replace("mlp.fc1", "mlp.0")
        .replace("mlp.fc2", "mlp.2"): torch.from_numpy(value)
        for key, value in state_dict(meta).items()
    }
    model.load_state_dict(renamed, strict=True)
    return model.eval()


def test_matches_the_reference_decoder(parity_dir: Path) -> None:
    meta, expected = load(parity_dir, "05_transformerxl_decoder")
    model = reference_decoder(meta)
    coarse = rng("decoder.coarse", meta["seed"]).standard_normal((2, 20, 384))
    noise = rng("decoder.noise", meta["seed"]).standard_normal((2, 1000, 384))
    x = torch.from_numpy((0.7 * np.repeat(coarse, 50, axis=1) + 0.5 * noise).astype(np.float32))
    with torch.inference_mode():
        y = model(x).numpy()[:, ::11, ::5]
        short = model(x[:, :250]).numpy()[:, ::11, ::5]
        first = model.blocks[0](x * 384**0.5, model.positions(1000, x.device), None)
    assert np.abs(y - expected["y"]).max() <= tolerance(meta, "y")
    assert np.abs(short - expected["y_T250"]).max() <= tolerance(meta, "y_T250")
    block = np.abs(first.numpy()[:, ::23, ::5] - expected["block0_out"]).max()
    assert block <= tolerance(meta, "block0_out")


def test_position_table_matches_the_reference(parity_dir: Path) -> None:
    meta, expected = load(parity_dir, "05_transformerxl_decoder")
    table = relative_positions(1000, 384).numpy()[None, ::37, ::7]
    assert np.abs(table - expected["pe"]).max() <= tolerance(meta, "pe")


def test_shift_picks_the_score_of_each_distance() -> None:
    frames = 5
    by_distance = torch.arange(2 * frames - 1.0).expand(1, 1, frames, -1)
    shifted = relative_shift(by_distance)[0, 0]
    for query in range(frames):
        for key in range(frames):
            assert shifted[query, key] == frames - 1 - (query - key)


def test_padding_changes_nothing_before_it() -> None:
    torch.manual_seed(0)
    model = TransformerXL(width=16, layers=2, heads=2, hidden=16, dropout=0.0).eval()
    x = torch.randn(1, 12, 16)
    padding = torch.zeros(1, 12, dtype=torch.bool)
    padding[:, 8:] = True
    changed = x.clone()
    changed[:, 8:] = 9.0
    torch.testing.assert_close(model(x, padding)[:, :8], model(changed, padding)[:, :8])
