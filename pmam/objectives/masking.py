"""Block masking of frame sequences: mask token, random frame or kept (arXiv 2409.17656, 3.2)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.objectives.settings import MaskSettings, masked_blocks


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
    generator: torch.Generator,
    *,
    whole_blocks: bool = False,
) -> MaskDraws:
    """Fresh random numbers for `batch` clips of `frames` frames, perhaps for whole blocks alone."""
    blocks = frames // block_frames if whole_blocks else -(-frames // block_frames)
    return MaskDraws(
        block_noise=torch.rand(batch, blocks, generator=generator),
        style=torch.rand(batch, frames, generator=generator),
        source=torch.randint(batch * frames, (batch, frames), generator=generator),
    )


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

    Of the masked frames, `token_share` become `token (width,)`, `random_share` any frame of the
    batch, the rest stay, as in BERT.
    """
    becomes_token = mask & (draws.style < settings.token_share)
    becomes_random = (
        mask & ~becomes_token & (draws.style < settings.token_share + settings.random_share)
    )
    random_frames = x.flatten(0, 1)[draws.source.flatten()].view_as(x)
    x = torch.where(becomes_random[..., None], random_frames, x)
    return torch.where(becomes_token[..., None], token.to(x.dtype), x)
