"""LoRA: low-rank changes of frozen linear layers (arXiv 2106.09685, section 4.1)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pmam.encoders.settings import LoraSettings
from pmam.errors import InputError


class LoraLinear(nn.Linear):
    """A linear layer `W x + b + alpha / rank * B A x`, W and b frozen, B zero at first."""

    def __init__(self, layer: nn.Linear, settings: LoraSettings) -> None:
        bias = layer.bias is not None
        super().__init__(layer.in_features, layer.out_features, bias=bias, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.scale = settings.alpha / settings.rank
        self.lora_a = nn.Parameter(layer.weight.new_empty(settings.rank, layer.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(layer.out_features, settings.rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.weight.requires_grad_(False)
        if self.bias is not None:
            self.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in)` to `(..., out)`; the factors stay apart, so that W needs no gradient."""
        change = nn.functional.linear(nn.functional.linear(x, self.lora_a), self.lora_b)
        return torch.add(nn.functional.linear(x, self.weight, self.bias), change, alpha=self.scale)

    @torch.no_grad()
    def merged_weight(self) -> Tensor:
        """`W + alpha / rank * B A`, the weight of the plain layer that does the same."""
        return torch.addmm(self.weight, self.lora_b, self.lora_a, alpha=self.scale)


def add_lora(module: nn.Module, settings: LoraSettings) -> None:
    """Replace every linear layer inside a module, in place.

    Raises:
        ValueError: the module has no linear layers, or has LoRA already.
    """
    if any(True for _ in lora_layers(module)):
        raise ValueError(f"{type(module).__name__} has LoRA already: merge it first")
    places = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear)
    ]
    if not places:
        raise ValueError(f"{type(module).__name__} has no linear layers to change")
    for parent, name, layer in places:
        setattr(parent, name, LoraLinear(layer, settings))


def lora_layers(module: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """The changed layers inside a module, by name."""
    return ((n, m) for n, m in module.named_modules() if isinstance(m, LoraLinear))


def adapt_blocks(transformer: nn.Module, settings: LoraSettings, encoder: str) -> None:
    """LoRA on every linear layer; `blocks` from the first one given on and `norm` train.

    `encoder` is what errors call it.

    Raises:
        InputError: it has no such block.
    """
    count = len(list(transformer.get_submodule("blocks").children()))
    if settings.first_block >= count:
        raise InputError(
            f"lora.first_block {settings.first_block}: encoder {encoder} has the "
            f"blocks 0 to {count - 1}: with none of them changed, set lora.rank 0"
        )
    add_lora(transformer, settings)
    transformer.requires_grad_(False)
    transformer.get_submodule("norm").requires_grad_(True)
    for name, layer in lora_layers(transformer):
        block = int(name.split(".")[1])
        for factor in (layer.lora_a, layer.lora_b):
            factor.requires_grad_(block >= settings.first_block)


def merged_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """The state dict of the same module without LoRA: each change counted once, in the weights.

    The module itself stays as it is, and can go on training.
    """
    state = dict(module.state_dict())
    for name, layer in lora_layers(module):
        prefix = f"{name}." if name else ""
        state[f"{prefix}weight"] = layer.merged_weight()
        del state[f"{prefix}lora_a"], state[f"{prefix}lora_b"]
    return state
