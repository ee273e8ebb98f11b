"""Each clip's random numbers are its own: of a seed, a step and a clip, and of nothing else."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pmam.training.clip_draws import ClipDraws, rand, randint, randn, shared

Drawing = Callable[[int, ClipDraws], Tensor]
DRAWS: dict[str, Drawing] = {
    "rand": lambda clips, random: rand(clips, 5, random=random),
    "randn": lambda clips, random: randn(clips, 5, random=random),
    "randint": lambda clips, random: randint(1 << 40, clips, 5, random=random),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_clip_gets_the_same_wherever_it_stands(draw: Drawing) -> None:
    whole = draw(3, ClipDraws(1, 2, ["a", "b", "c"]))
    assert torch.equal(draw(2, ClipDraws(1, 2, ["c", "a"])), whole[[2, 0]])


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_other_clips_steps_and_seeds_get_others(draw: Drawing) -> None:
    found = [
        draw(1, ClipDraws(seed, step, [clip]))
        for seed, step, clip in [(1, 2, "a"), (1, 2, "b"), (1, 3, "a"), (2, 2, "a"), (12, 2, "a")]
    ]
    assert len({tuple(values.flatten().tolist()) for values in found}) == len(found)


def test_what_is_drawn_for_a_batch_is_alike_on_all_workers() -> None:
    one, other = (shared(ClipDraws(1, 2, clips)).initial_seed() for clips in (["a"], ["b", "c"]))
    assert one == other
    assert one != shared(ClipDraws(1, 3, ["a"])).initial_seed()


def test_as_many_clips_as_there_are() -> None:
    with pytest.raises(ValueError, match="of 2 clips, asked for 3"):
        rand(3, 5, random=ClipDraws(1, 2, ["a", "b"]))
