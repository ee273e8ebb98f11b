"""State dicts that must fit a module exactly: what is missing, unexpected, of another shape."""

from collections.abc import Mapping

from torch import Tensor, nn

from pmam.errors import InputError

NAMES_SHOWN = 3


class StateDictError(InputError):
    """Tensors that do not fit a module; the message lists their names."""


def misfits(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """What keeps `tensors` from taking the place of `own`, in words; empty if nothing."""
    reshaped = [
        f"{key} {tuple(tensors[key].shape)} for {tuple(own[key].shape)}"
        for key in sorted(own.keys() & tensors.keys())
        if own[key].shape != tensors[key].shape
    ]
    problems = (
        (sorted(own.keys() - tensors.keys()), "missing"),
        (sorted(tensors.keys() - own.keys()), "unexpected"),
        (reshaped, "of another shape"),
    )
    return "; ".join(
        f"{len(names)} {what} ({', '.join(names[:NAMES_SHOWN])}"
        f"{', ...' if len(names) > NAMES_SHOWN else ''})"
        for names, what in problems
        if names
    )


def load_fitting(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load a state dict whose names and shapes must all fit.

    Raises:
        StateDictError: names what is missing, unexpected or of another shape.
    """
    problems = misfits(module.state_dict(), tensors)
    if problems:
        raise StateDictError(f"tensors do not fit {type(module).__name__}: {problems}")
    module.load_state_dict(dict(tensors))
