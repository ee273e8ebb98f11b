"""The names of PaSST's parameters in published files, and ours."""

from collections.abc import Mapping

from torch import Tensor

# Tagging heads: an event detector does not read them.
TAGGING_HEADS = ("head.", "head_dist.")
RENAMED = {
    "patch_embed.proj.weight": "patch_embed.weight",
    "patch_embed.proj.bias": "patch_embed.bias",
    "new_pos_embed": "token_positions",
    "freq_new_pos_embed": "row_positions",
    "time_new_pos_embed": "column_positions",
}
LORA = {"lora_A": "lora_a", "lora_B": "lora_b"}


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def without_wrapper(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the `module.` that data-parallel training puts before all of them."""
    if tensors and all(name.startswith("module.") for name in tensors):
        return under(tensors, "module.")
    return dict(tensors)


def passt_name(name: str) -> str:
    """Our name of a parameter of PaSST's published files."""
    stem, _, leaf = name.rpartition(".")
    return f"{stem}.{LORA[leaf]}" if leaf in LORA else RENAMED.get(name, name)


def passt_tensors(published: Mapping[str, Tensor], *, keep_lora: bool = False) -> dict[str, Tensor]:
    """PaSST's parameters under our names, without its tagging heads.

    Args:
        published: a file of PaSST, or one of PMAM or MAT-SED, which hold PaSST as `backbone`.
        keep_lora: keep LoRA's factors; PMAM's files hold them beside weights that have them in.
    """
    tensors = without_wrapper(published)
    tensors = under(tensors, "backbone.") or tensors
    return {
        passt_name(name): value
        for name, value in tensors.items()
        if not name.startswith(TAGGING_HEADS) and (keep_lora or name.rpartition(".")[2] not in LORA)
    }
