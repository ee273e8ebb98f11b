"""Settings survive JSON; wrong keys and values are named."""

import json
from dataclasses import dataclass, field
from typing import Literal

import pytest

from pmam.settings import SettingsError, from_json, to_json


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    steps: int = 3
    limit: float | None = None
    kind: Literal["full", "diag"] = "full"
    counts: dict[str, int] = field(default_factory=dict)
    sizes: int | tuple[int, ...] | Literal["auto"] | None = 1


def test_round_trip_through_json() -> None:
    settings = Outer(inner=Inner(rate=1, names=("a", "b")), limit=2.0, counts={"strong": 4})
    assert from_json(Outer, json.loads(json.dumps(to_json(settings)))) == settings


@pytest.mark.parametrize("sizes", [3, (3, 4), "auto", None])
def test_a_setting_of_several_kinds(sizes: object) -> None:
    settings = Outer(sizes=sizes)  # type: ignore[arg-type]
    assert from_json(Outer, json.loads(json.dumps(to_json(settings)))) == settings


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sizes": "many"}, "sizes: got 'many', expected int or tuple.* or one of auto"),
        ({"sizes": [1, "x"]}, "sizes[1]: got 'x', expected int"),
        ({"stepz": 1}, "stepz: unknown setting; did you mean 'steps'"),
        ({"inner": {"rats": 1}}, "inner.rats: unknown setting; did you mean 'rate'"),
        ({"steps": "3"}, "steps: got '3', expected int"),
        ({"steps": True}, "steps: got True"),
        ({"kind": "tied"}, "expected one of full, diag"),
        ({"inner": 4}, "inner: got 4, expected an object"),
        ({"counts": {"strong": "x"}}, "counts.strong"),
    ],
)
def test_wrong_settings_are_named(data: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("[", r"\[")):
        from_json(Outer, data)
