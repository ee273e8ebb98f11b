"""Settings as frozen dataclasses, to JSON and back without a key lost or unread."""

import dataclasses
import difflib
import types
import typing
from typing import Any, TypeVar

from pmam.errors import InputError

SettingsT = TypeVar("SettingsT")


class SettingsError(InputError):
    """A key that nothing reads, a value of the wrong kind, or a key that is missing."""


def to_json(settings: Any) -> dict[str, Any]:
    """Nested dataclasses as nested dictionaries of JSON values."""
    return dataclasses.asdict(settings)


def from_json(kind: type[SettingsT], data: Any, where: str = "") -> SettingsT:
    """Build `kind` from what `to_json` gave; `where` names the place in errors.

    Raises:
        SettingsError: an unknown key (with the nearest valid one), or a value of another type.
    """
    if not isinstance(data, dict):
        raise SettingsError(
            f"{where or kind.__name__}: got {data!r}, expected an object of settings"
        )
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {}
    for key, value in data.items():
        place = f"{where}.{key}" if where else key
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)
            hint = f"did you mean {near[0]!r}?" if near else "it has no settings"
            raise SettingsError(f"{place}: unknown setting; {hint}")
        values[key] = _convert(hints[key], value, place)
    missing = [
        name
        for name, field in known.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise SettingsError(f"{where or kind.__name__}: missing setting {missing[0]!r}")
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(f"{where or kind.__name__}: {error}") from error


def _convert(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert_to_one_of([a for a in arguments if a is not type(None)], value, place)
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, place)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(
            _convert(
                arguments[0 if arguments[-1] is Ellipsis else index], item, f"{place}[{index}]"
            )
            for index, item in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        return {key: _convert(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise SettingsError(
            f"{place}: got {value!r}, expected one of {', '.join(map(str, arguments))}"
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (
        isinstance(hint, type)
        and isinstance(value, hint)
        and not (hint is int and value in (True, False) and isinstance(value, bool))
    ):
        return value
    raise SettingsError(f"{place}: got {value!r}, expected {getattr(hint, '__name__', hint)}")


def _convert_to_one_of(hints: list[Any], value: Any, place: str) -> Any:
    """The value as the first kind that takes it; what all of them say where none does."""
    refusals = []
    for hint in hints:
        try:
            return _convert(hint, value, place)
        except SettingsError as error:
            refusals.append(str(error))
    inside = [refusal for refusal in refusals if not refusal.startswith(f"{place}: ")]
    if inside:
        raise SettingsError(inside[0])
    first, *others = refusals
    expected = [refusal.rpartition("expected ")[2] for refusal in others]
    raise SettingsError(" or ".join([first, *expected]))
