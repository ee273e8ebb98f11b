"""Block masking of frame sequences: mask token, random frame or kept (arXiv 2409.17656, 3.2)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.training.clip_draws import Random, rand, randint


@dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """How much is masked, in what blocks, and what stands in its place."""

    # Share of the blocks that are masked.
    rate: float = 0.8
    # Length of a block.
    block_s: float = 0.1
    # Share of the masked frames that become the mask token.
    token_share: float = 0.9
    # Share of the masked frames that become another frame; what is left of 1 stays as it is.
    random_share: float = 0.05
    # Mask `int(rate * blocks) + 1` whole blocks and never a short last one, as PMAM's code does.
    one_more_block: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"mask rate {self.rate}: expected a share between 0 and 1")
        if not 0 < self.block_s < math.inf:
            raise ValueError(f"mask blocks of {self.block_s} s: expected a positive length")
        if min(self.token_share, self.random_share) < 0 or self.token_share + self.random_share > 1:
            raise ValueError(
                f"mask shares {self.token_share} token + {self.random_share} random: "
                "expected shares of at least 0 whose sum is at most 1"
            )

    def block_frames(self, hop_s: float) -> int:
        """Frames of a block."""
        return max(1, round(self.block_s / hop_s))

    def check(self, length_s: float, hop_s: float) -> None:
        """Refuse blocks that do not fit examples of a length in frames of `hop_s`.

        Raises:
            ValueError: a block is shorter than a frame, or so long that of an example nothing is
                masked, or all of it where `rate` leaves some.
        """
        if self.block_s < (1 - 1e-6) * hop_s:
            raise ValueError(
                f"mask.block_s {self.block_s:g}: shorter than a frame of the encoder, {hop_s:g} s; "
                "set it to that or more"
            )
        frames, size = max(1, round(length_s / hop_s)), self.block_frames(hop_s)
        blocks = frames // size if self.one_more_block else -(-frames // size)
        masked = masked_blocks(blocks, self.rate, one_more=self.one_more_block)
        if self.rate > 0 and (masked == 0 or (self.rate < 1 and masked == blocks)):
            raise ValueError(
                f"mask.block_s {self.block_s:g}: at a rate of {self.rate:g}, {masked} of the "
                f"{blocks} blocks in {length_s:g} s are masked; expected some and not all: set "
                "shorter blocks, another mask.rate or a longer training.crop_s"
            )


@dataclass(frozen=True, kw_only=True)
class MaskDraws:
    """The random numbers of one mask, so that a mask is a pure function of them."""

    block_noise: Tensor  # (B, blocks), uniform in [0, 1)
    style: Tensor  # (B, T), uniform in [0, 1)
    source: Tensor  # (B, T), indices into the B * T frames of the batch

    def to(self, device: torch.device) -> "MaskDraws":
        """The same numbers, where the frames are."""
        return MaskDraws(**{name: value.to(device) for name, value in vars(self).items()})


def draw(
    batch: int,
    frames: int,
    block_frames: int,
    generator: Random,
    *,
    whole_blocks: bool = False,
) -> MaskDraws:
    """Fresh random numbers for `batch` clips of `frames` frames, perhaps for whole blocks alone."""
    blocks = frames // block_frames if whole_blocks else -(-frames // block_frames)
    return MaskDraws(
        block_noise=rand(batch, blocks, random=generator),
        style=rand(batch, frames, random=generator),
        source=_sources(batch, frames, generator),
    )


def _sources(batch: int, frames: int, random: Random) -> Tensor:
    """Where random frames come from: the batch, or, with numbers of each clip's own, the clip."""
    if isinstance(random, torch.Generator):
        return randint(batch * frames, batch, frames, random=random)
    return randint(frames, batch, frames, random=random) + frames * torch.arange(batch)[:, None]


def masked_blocks(blocks: int, rate: float, *, one_more: bool = False) -> int:
    """How many of an example's blocks are masked: see `block_mask`."""
    if rate == 0:
        return 0
    return min(int(rate * blocks) + 1, blocks) if one_more else max(round(rate * blocks), 1)


def block_mask(
    noise: Tensor, frames: int, block_frames: int, rate: float, *, one_more: bool = False
) -> Tensor:
    """Mask the `round(rate * blocks)` blocks of lowest noise: `(B, blocks)` to `(B, frames)` bool.

    A last block may be short; frames behind the last block are not masked. At a positive rate at
    least one block is masked. `one_more` masks `int(rate * blocks) + 1` instead.
    """
    masked = masked_blocks(noise.shape[1], rate, one_more=one_more)
    rank = noise.argsort(dim=1).argsort(dim=1)
    mask = (rank < masked).repeat_interleave(block_frames, dim=1)[:, :frames]
    return nn.functional.pad(mask, (0, frames - mask.shape[1]))


def apply_mask(
    x: Tensor, mask: Tensor, token: Tensor, draws: MaskDraws, settings: MaskSettings
) -> Tensor:
    """Replace masked frames of `x (B, T, width)`; others stay as they are.

    Of the masked frames, `token_share` become `token (width,)`, `random_share` the frame
    that `draws.source` names, the rest stay, as in BERT.
    """
    becomes_token = mask & (draws.style < settings.token_share)
    becomes_random = (
        mask & ~becomes_token & (draws.style < settings.token_share + settings.random_share)
    )
    random_frames = x.flatten(0, 1)[draws.source.flatten()].view_as(x)
    x = torch.where(becomes_random[..., None], random_frames, x)
    return torch.where(becomes_token[..., None], token.to(x.dtype), x)
