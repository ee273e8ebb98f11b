"""What a frame weighs in pretraining: masked or shown, of the whole batch or of a part."""

import math
from typing import Any

import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pmam.augment.settings import AugmentSettings
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.objectives.masked_prediction import PretextBatch, Pretraining, frame_weights
from pmam.objectives.masking import apply_mask, block_mask
from pmam.objectives.settings import MaskSettings, PretextSettings
from pmam.training.gradient_accumulation import mean_over

CLIPS, FRAMES, K, WIDTH = 4, 20, 3, 5
HELD = torch.tensor([FRAMES, 15, FRAMES, 9])


def batch(seed: int = 0) -> PretextBatch:
    generator = torch.Generator().manual_seed(seed)
    return PretextBatch(
        inputs=torch.randn(CLIPS, 4 * FRAMES, 64, generator=generator),
        posteriors=torch.rand(CLIPS, FRAMES, K, generator=generator),
        padding=torch.arange(FRAMES)[None] >= HELD[:, None],
    )


def pretraining(**settings: Any) -> Pretraining:
    model: MaskedAudioModel = tiny_models.masked(WIDTH)
    means = torch.randn(K, WIDTH, generator=torch.Generator().manual_seed(1))
    made = {"mask": MaskSettings(rate=0.5, block_s=0.08)} | settings
    return Pretraining(model, means, PretextSettings(**made)).eval()


def frame_losses(module: Pretraining, examples: PretextBatch, seed: int) -> tuple[Tensor, Tensor]:
    """The loss of every frame by its formula, and which frames are masked."""
    masked = module.prepare(examples, torch.Generator().manual_seed(seed))
    settings, examples = module.settings, masked.examples
    mask = block_mask(masked.draws.block_noise, FRAMES, masked.block_frames, settings.mask.rate)
    projected = module.model.backbone.embed(examples.inputs)
    filled = apply_mask(projected, mask, module.model.mask_token, masked.draws, settings.mask)
    said = module.model.predict(filled, examples.padding)
    cosine = torch.cosine_similarity(said[:, :, None], module.means[None, None], dim=-1)
    z = (2 * torch.where(cosine > 0, cosine, 0.2 * cosine) - 1) / settings.temperature
    p, y = torch.sigmoid(z), examples.posteriors
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean(dim=-1), mask


@settings(max_examples=50)
@given(st.integers(0, 99), st.floats(0, 3), st.floats(0, 1), st.floats(0, 1))
def test_weights_frame_by_frame(seed: int, weight: float, masked: float, padded: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(3, 7, generator=generator) < masked
    padding = torch.rand(3, 7, generator=generator) < padded
    found = frame_weights(mask, padding, weight)
    for clip in range(3):
        for frame in range(7):
            shown = weight if not mask[clip, frame] else 1.0
            expected = 0.0 if padding[clip, frame] else shown
            assert float(found[clip, frame]) == pytest.approx(expected)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0, 4.0])
def test_the_loss_is_the_weighted_mean_over_frames(weight: float) -> None:
    module, examples = pretraining(unmasked_weight=weight, temperature=0.5), batch()
    losses, mask = frame_losses(module, examples, seed=3)
    total, weights = 0.0, 0.0
    for clip, held in enumerate(HELD.tolist()):
        for frame in range(held):
            one = 1.0 if mask[clip, frame] else weight
            total, weights = total + one * losses[clip, frame].item(), weights + one
    loss, logs = module(examples, torch.Generator().manual_seed(3))
    assert loss.item() == pytest.approx(total / weights, rel=1e-4)
    use = sum(float(value) for name, value in logs.items() if name.startswith("use/"))
    assert use == pytest.approx(1.0, rel=1e-4), "means to log are over the same weights"


def test_published_is_masked_frames_alone_and_one_is_all_of_them() -> None:
    assert PretextSettings().unmasked_weight == 0
    held = ~batch().padding
    losses, mask = frame_losses(pretraining(), batch(), seed=3)
    for weight, counted in ((0.0, mask & held), (1.0, held)):
        module = pretraining(unmasked_weight=weight)
        loss, _ = module(batch(), torch.Generator().manual_seed(3))
        assert float(loss) == pytest.approx(float(losses[counted].mean()), rel=1e-4)


def test_without_masks_the_weight_says_nothing() -> None:
    def loss(weight: float) -> float:
        module = pretraining(mask=MaskSettings(rate=0.0, block_s=0.08), unmasked_weight=weight)
        return float(module(batch(), torch.Generator().manual_seed(0))[0])

    assert loss(0.0) == loss(0.3) == loss(1.0)


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_add_up(parts: int) -> None:
    mask = MaskSettings(rate=0.5, block_s=0.08, token_share=1.0, random_share=0.0)
    module = pretraining(mask=mask, unmasked_weight=0.25)
    masked = module.prepare(batch(), torch.Generator().manual_seed(2))
    totals = module.totals(masked)
    whole, _ = module.partial_loss(masked, totals)
    added = sum(float(module.partial_loss(part, totals)[0]) for part in masked.split(parts))
    assert added == pytest.approx(float(whole), rel=1e-4)


def test_a_mean_over_small_weights_is_a_mean() -> None:
    losses, weights = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.1, 0.3]])
    assert float(mean_over(losses, weights)) == pytest.approx(2.5)
    assert float(mean_over(losses, 0 * weights)) == 0


def test_mixup_blends_inputs_and_posteriors_alike() -> None:
    """A clip of the mixture is `s x + (1 - s) x'`, its posteriors `s p + (1 - s) p'`."""
    augment = AugmentSettings(mixup_share=1.0, mixup_beta=(1.0, 1.0))
    module, examples = pretraining(augment=augment), batch()
    full = PretextBatch(
        inputs=examples.inputs,
        posteriors=examples.posteriors,
        padding=torch.zeros_like(examples.padding),
    )
    mixed = 0
    for seed in range(4):
        made = module.prepare(full, torch.Generator().manual_seed(seed)).examples
        for clip in range(CLIPS):
            # The partner and the share that explain the inputs explain the posteriors.
            fits = []
            for partner in range(CLIPS):
                step = full.inputs[clip] - full.inputs[partner]
                moved = made.inputs[clip] - full.inputs[partner]
                share = (
                    1.0 if partner == clip else float((step * moved).sum() / step.square().sum())
                )
                blend = share * full.inputs[clip] + (1 - share) * full.inputs[partner]
                if torch.allclose(blend, made.inputs[clip], atol=1e-4):
                    fits.append((partner, share))
            assert fits, (seed, clip)
            partner, share = fits[0]
            assert 0.05 - 1e-4 <= share <= 1
            expected = share * full.posteriors[clip] + (1 - share) * full.posteriors[partner]
            torch.testing.assert_close(made.posteriors[clip], expected, rtol=1e-3, atol=1e-4)
            mixed += partner != clip
    assert mixed >= CLIPS


@pytest.mark.parametrize("weight", [-0.1, math.inf, math.nan])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"unmasked_weight .*: expected 0 or more"):
        PretextSettings(unmasked_weight=weight)
