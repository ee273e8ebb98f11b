"""A small M2D, and files of it as its authors write them."""

import torch

from pmam.encoders.m2d.transformer import M2D, M2DSettings

SMALL = M2DSettings(width=24, depth=3, heads=2)
Tensors = dict[str, torch.Tensor]


def published(size: M2DSettings, prefix: str = "", head: int | None = None) -> Tensors:
    """A file as M2D's authors write them, with what belongs to its training."""
    torch.manual_seed(0)
    ours = M2D(size).state_dict()
    back = {
        "patch_embed.weight": "patch_embed.proj.weight",
        "patch_embed.bias": "patch_embed.proj.bias",
        "positions": "pos_embed",
    }
    file = {f"{prefix}{back.get(name, name)}": value for name, value in ours.items()}
    if head is not None:
        file["module.head.norm.running_mean"] = torch.zeros(head)
        file["module.head.norm.running_var"] = torch.ones(head)
        file["module.head.mlp.mlp.0.weight"] = torch.randn(7, head)
        file["module.head.mlp.mlp.0.bias"] = torch.zeros(7)
    else:
        file["decoder_blocks.0.attn.qkv.weight"] = torch.zeros(3)
        file["target_blocks.0.norm1.weight"] = torch.zeros(3)
        file["mask_token"] = torch.zeros(3)
    return file
