"""Types of options that commands share, and those that are read in a way of their own."""

from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, Positional
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

# The fields of a settings object become options without a prefix.
Flat = tyro.conf.arg(name="")
Flag = FlagCreatePairsOff[bool]
Dataset = Positional[Annotated[str, tyro.conf.arg(metavar="DATASET")]]
Out = Positional[Annotated[str, tyro.conf.arg(metavar="OUT")]]

# What the parsers of all commands know beside the usual types.
REGISTRY = ConstructorRegistry()
Numbers = int | tuple[int, ...]


@REGISTRY.primitive_rule
def _numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """One number or several: 30, or 10,20,30."""
    if info.type != Numbers:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT[,INT...]",
        instance_from_str=lambda values: numbers(values[0]),
        is_instance=lambda value: isinstance(value, int | tuple),
        str_from_instance=lambda value: [_text(value)],
    )


def numbers(text: str) -> Numbers:
    """`30` as a number, `10,20,30` as several.

    Raises:
        ValueError: anything else.
    """
    found = []
    for part in text.split(","):
        if not part.strip().removeprefix("-").isdecimal():
            raise ValueError(f"got {text!r}, expected numbers such as 30 or 10,20,30")
        found.append(int(part))
    return found[0] if len(found) == 1 else tuple(found)


def _text(value: Numbers) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
