"""The prototype loss against numbers of the reference."""

from pathlib import Path

import numpy as np
import torch
from parity_rule import load, rng

from pmam.objectives.losses.prototype_bce import prototype_bce, prototype_logits
from pmam.training.gradient_accumulation import mean_over


def test_predictions_match_the_reference(parity_dir: Path) -> None:
    meta, expected = load(parity_dir, "03_passt_cnn_mlm")
    seed = meta["seed"]
    means = rng("gmm.unit_means", seed).standard_normal((30, 768)).astype(np.float32)
    noise = rng("gmm.unit_noise", seed).standard_normal((60, 768))
    output = (np.linspace(-4, 4, 60)[:, None] * means[np.arange(60) % 30] + noise).astype(
        np.float32
    )
    logits = prototype_logits(torch.from_numpy(output), torch.from_numpy(means))
    difference = np.abs(torch.sigmoid(logits).numpy() - expected["pred_unit"]).max()
    assert difference <= meta["outputs"]["pred_unit"]["tolerance"]


def test_loss_is_least_where_the_output_points_at_the_prototype() -> None:
    means = torch.eye(4)
    posteriors = torch.eye(4)
    losses = torch.stack([prototype_bce(means, means.roll(s, 0), posteriors) for s in range(4)])
    assert (losses[0] < losses[1:]).all()


def test_mean_counts_chosen_frames_only() -> None:
    losses = torch.tensor([[1.0, 2.0, 100.0]])
    assert mean_over(losses, torch.tensor([[True, True, False]])) == 1.5
    assert mean_over(losses, torch.zeros(1, 3, dtype=torch.bool)) == 0
