"""What a stage is made of: settings that are not at their defaults, inputs, algorithm version."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

SettingsT = TypeVar("SettingsT")
SET = "set"  # stands for settings of which there are none by default
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What identifies the output of a stage; values are as in JSON."""

    stage: str
    settings: Mapping[str, Any]  # that differ from their defaults, by dotted name
    defaults: Mapping[str, Any]  # the others: no part of the fingerprint, for telling what changed
    inputs: Mapping[str, str]  # fingerprints by name
    algorithm_version: int

    @property
    def fingerprint(self) -> str:
        """A hash of all of it but the defaults: a setting added later changes nothing."""
        return digest({name: getattr(self, name) for name in IDENTIFYING})

    def to_json(self) -> dict[str, Any]:
        """As it is recorded."""
        return {name: getattr(self, name) for name in (*IDENTIFYING, "defaults")}


IDENTIFYING = ("stage", "settings", "inputs", "algorithm_version")


def identify(
    stage: str, settings: Any, inputs: Mapping[str, str], algorithm_version: int
) -> Identity:
    """The identity of a stage with these settings (a dataclass) and inputs."""
    changed, at_default = parted(settings)
    return Identity(
        stage=stage,
        settings=changed,
        defaults=at_default,
        inputs=dict(inputs),
        algorithm_version=algorithm_version,
    )


def digest(value: Any) -> str:
    """The sha256 of a JSON value, in which the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def parted(settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings that differ from their defaults, and those at them, by dotted name.

    A dataclass in a dataclass is compared field by field with what the outer one has by default.
    """
    changed: dict[str, Any] = {}
    at_default: dict[str, Any] = {}
    for name, value, is_default in _walk("", settings, MISSING):
        (at_default if is_default else changed)[name] = value
    return changed, at_default


def at_defaults(settings: SettingsT, *names: str) -> SettingsT:
    """The same settings with some of them at their defaults: those that change no output."""
    plain = {field.name: _default(field) for field in fields(settings)}  # type: ignore[arg-type]
    return replace(settings, **{name: plain[name] for name in names})  # type: ignore[type-var]


def overlaid(base: SettingsT, given: SettingsT) -> SettingsT:
    """`base` with all that is not at its default in `given`, in what it holds too."""
    plain = type(given)()
    found: dict[str, Any] = {}
    for each in fields(given):  # type: ignore[arg-type]
        value, default = getattr(given, each.name), getattr(plain, each.name)
        if is_dataclass(value) and value != default:
            found[each.name] = overlaid(getattr(base, each.name), value)
        elif isinstance(value, dict) and isinstance(default, dict):
            changed = {key: v for key, v in value.items() if default.get(key) != v}
            found[each.name] = {**getattr(base, each.name), **changed}
        elif value != default:
            found[each.name] = value
    return replace(base, **found)  # type: ignore[type-var]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between a recorded identity and another: each setting and input, old and new.

    What one of them does not know counts as its default in it, or as not given.
    """
    found = []
    for name in sorted({*_values(old), *_values(new)}):
        before, after = _values(old).get(name), _values(new).get(name)
        is_set = name in old["settings"] or name in new["settings"]
        if (before != after) if before and after else is_set:
            found.append(f"{name}: {_shown(old, name)} there, {_shown(new, name)} now")
    for name in sorted({*old["inputs"], *new["inputs"]}):
        there, now = (_brief(of["inputs"].get(name)) for of in (old, new))
        if old["inputs"].get(name) != new["inputs"].get(name):
            found.append(f"input {name}: {there} there, {now} now")
    return found


def _values(of: Mapping[str, Any]) -> dict[str, str]:
    """All settings as text, which also compares what is not a number."""
    return {n: json.dumps(v, sort_keys=True) for n, v in (of["defaults"] | of["settings"]).items()}


def _shown(of: Mapping[str, Any], name: str) -> str:
    if name in of["settings"]:
        return json.dumps(of["settings"][name])
    return f"{json.dumps(of['defaults'][name])} (default)" if name in of["defaults"] else "default"


def _brief(fingerprint: str | None) -> str:
    if fingerprint is None:
        return "not given"
    return fingerprint[:12] if SHA256.fullmatch(fingerprint) else fingerprint


def _walk(name: str, value: Any, default: Any) -> Iterator[tuple[str, Any, bool]]:
    """`(name, value, whether it is the default)` of a setting, or of each one in it."""
    if not is_dataclass(value):
        plain = _plain(value)
        yield name, plain, default is not MISSING and _same(plain, _plain(default))
        return
    if alike := type(default) is type(value):
        pass
    elif default is not MISSING:
        yield name, SET if default is None else type(value).__name__, False
    for field in fields(value):
        inner = getattr(default, field.name) if alike else _default(field)
        place = f"{name}.{field.name}" if name else field.name
        yield from _walk(place, getattr(value, field.name), inner)


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _same(left: Any, right: Any) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _plain(value: Any) -> Any:
    """As JSON gives it back; a whole number is the same as an integer and as a float."""
    if is_dataclass(value):
        return parted(value)[0]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
