"""White noise on an encoder's inputs: as strong as it says, and each clip's own."""

import math

import pytest
import torch

from pmam.augment.chain import InputBatch, InputScale, augment, augment_once
from pmam.augment.settings import AugmentSettings
from pmam.training.clip_draws import ClipDraws, rand

SCALE = InputScale(hop_s=0.01, inputs_per_frame=4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(channels: int) -> InputBatch:
    return InputBatch(
        inputs=torch.randn(6, 80, channels, generator=seeded(1)),
        padding=torch.arange(20)[None] >= torch.tensor([20, 13, 1, 20, 13, 1])[:, None],
        frames=torch.rand(6, 20, 2, generator=seeded(3)),
        clips=torch.zeros(6, 2),
        kind=torch.tensor([0, 0, 0, 1, 1, -1]),
    )


@pytest.mark.parametrize("channels", [8, 128])
def test_input_noise_is_white_and_leaves_labels(channels: int) -> None:
    """`x + s n` with standard normal `n`, on whatever the encoder takes; no mel scale is needed."""
    batch = examples(channels)
    settings, scale = AugmentSettings(input_noise=0.5), SCALE
    student, teacher = augment(batch, settings, scale, seeded(2))
    drawn = seeded(2)
    for version in (student, teacher):
        expected = batch.inputs + 0.5 * torch.randn(6, 80, channels, generator=drawn)
        torch.testing.assert_close(version.inputs, expected)
        for name in ("padding", "frames", "clips", "kind"):
            assert torch.equal(getattr(version, name), getattr(batch, name))
    assert not torch.equal(student.inputs, teacher.inputs)
    twice = augment_once(batch, AugmentSettings(input_noise=1.0), scale, seeded(2)).inputs
    torch.testing.assert_close(twice - batch.inputs, 2 * (student.inputs - batch.inputs))


def test_input_noise_of_a_clip_is_its_own() -> None:
    """The same in any batch, and so on any number of workers."""
    batch, settings = examples(8), AugmentSettings(input_noise=0.5)
    draws = ClipDraws(0, 3, list("abcdef"))
    whole = augment_once(batch, settings, SCALE, draws).inputs
    some = [4, 1]
    part = InputBatch(**{name: value[some] for name, value in vars(batch).items()})
    for own in (ClipDraws(0, 3, ["e", "b"]), ClipDraws(0, 3, list("abcdef")).of(some)):
        assert torch.equal(augment_once(part, settings, SCALE, own).inputs, whole[some])


def test_draws_of_some_clips_share_what_is_of_the_batch() -> None:
    draws, again = ClipDraws(0, 1, list("abc")), ClipDraws(0, 1, list("abc"))
    few = draws.of([2])
    assert len(draws.own) == 3 and len(few.own) == 1
    assert torch.equal(rand(1, 4, random=few), rand(3, 4, random=again)[2:])
    assert torch.equal(torch.rand(4, generator=few.shared), torch.rand(4, generator=again.shared))
    with pytest.raises(ValueError, match="random numbers of 1 clips, asked for 3"):
        rand(3, 4, random=few)


@pytest.mark.parametrize("noise", [-0.1, math.inf, math.nan])
def test_impossible_input_noise_is_refused(noise: float) -> None:
    with pytest.raises(ValueError, match=r"input_noise .*: expected 0 or more"):
        AugmentSettings(input_noise=noise)
