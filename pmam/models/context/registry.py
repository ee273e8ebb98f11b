"""The context networks by name; to add one, write a file here and one line in `CONTEXTS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pmam.deferred import Deferred
from pmam.errors import InputError

if TYPE_CHECKING:
    from pmam.models.context.transformer_xl import ContextNetwork
    from pmam.models.settings import ContextSettings

CONTEXTS: dict[str, Callable[[ContextSettings], ContextNetwork]] = {
    "transformer_xl": Deferred("pmam.models.context.transformer_xl:build"),
    "gru": Deferred("pmam.models.context.gru:build"),
    "conformer": Deferred("pmam.models.context.conformer:build"),
    "none": Deferred("pmam.models.context.no_context:build"),
}


def build_context(settings: ContextSettings) -> ContextNetwork:
    """The context network of a name, with fresh weights.

    Raises:
        InputError: the name is not in `CONTEXTS`.
    """
    if settings.network not in CONTEXTS:
        raise InputError(
            f"context network {settings.network!r}: expected one of {', '.join(CONTEXTS)}"
        )
    return CONTEXTS[settings.network](settings)
