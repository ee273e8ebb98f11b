"""What counts in the identity of a stage: settings that are not at their defaults."""

from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cli.run_start import default_folder
from pipelines.presets import PRESETS
from pipelines.presets.settings import RunSettings
from pipelines.runtime.identity import at_defaults, differences, identify, parted
from pipelines.stages.settings import FinetuneSettings


@dataclass(frozen=True, kw_only=True)
class Inner:
    steps: int = 10
    rate: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=lambda: Inner(steps=20))
    maybe: Inner | None = None
    names: tuple[str, ...] = ("a",)
    batch: dict[str, int] = field(default_factory=lambda: {"strong": 8})


def test_only_what_differs_from_the_outer_default_counts() -> None:
    assert parted(Outer())[0] == {}
    assert parted(Outer())[1] == {
        "inner.steps": 20,
        "inner.rate": 0.5,
        "maybe": None,
        "names": ["a"],
        "batch": {"strong": 8},
    }
    assert parted(Outer(inner=Inner()))[0] == {"inner.steps": 10}
    assert parted(Outer(maybe=Inner(rate=0.25)))[0] == {"maybe": "set", "maybe.rate": 0.25}
    assert parted(Outer(names=(), batch={"weak": 1}))[0] == {"names": [], "batch": {"weak": 1}}


@given(st.integers(0, 3), st.sampled_from([0.5, 0.25, 1.0]), st.booleans())
def test_a_setting_added_later_changes_nothing(steps: int, rate: float, has: bool) -> None:
    """At any depth, in what is there by default and in what is not."""
    new_inner = make_dataclass(
        "Inner", [("extra", "int", 7), ("steps", "int", 10), ("rate", "float", 0.5)], frozen=True
    )
    new_outer = make_dataclass(
        "Outer",
        [
            ("more", "tuple", ()),
            ("inner", "Inner", field(default_factory=lambda: new_inner(steps=20))),
            ("maybe", "Inner", None),
            ("names", "tuple", ("a",)),
            ("batch", "dict", field(default_factory=lambda: {"strong": 8})),
        ],
        frozen=True,
    )
    given_ = {"steps": steps, "rate": rate}
    old = Outer(inner=Inner(**given_), maybe=Inner(**given_) if has else None)
    new = new_outer(inner=new_inner(**given_), maybe=new_inner(**given_) if has else None)
    before, after = (identify("s", settings, {}, 1) for settings in (old, new))
    assert before.fingerprint == after.fingerprint
    assert differences(before.to_json(), after.to_json()) == []
    changed = replace(new, more=("x",), inner=replace(new.inner, extra=8))
    assert differences(before.to_json(), identify("s", changed, {}, 1).to_json()) == [
        "inner.extra: default there, 8 now",
        'more: default there, ["x"] now',
    ]


def test_a_setting_that_went_matters_where_it_was_set() -> None:
    slim = make_dataclass("Slim", [("steps", "int", 10)], frozen=True)
    now = identify("s", slim(), {}, 1).to_json()
    assert differences(identify("s", Inner(), {}, 1).to_json(), now) == []
    gone = identify("s", Inner(rate=0.25), {}, 1).to_json()
    assert differences(gone, now) == ["rate: 0.25 there, default now"]


def test_another_default_is_another_value() -> None:
    later = make_dataclass("Inner", [("steps", "int", 11), ("rate", "float", 0.5)], frozen=True)
    before = identify("s", Inner(), {}, 1).to_json()
    told = ["steps: 10 (default) there, 11 (default) now"]
    assert differences(before, identify("s", later(), {}, 1).to_json()) == told
    assert differences(before, identify("s", later(steps=10), {}, 1).to_json()) == []


def test_old_and_new_inputs_are_told() -> None:
    before = identify("s", Inner(), {"dataset": "a" * 64, "weights": "1"}, 1).to_json()
    now = identify("s", Inner(), {"dataset": "b" * 64, "cache": "2"}, 1).to_json()
    assert differences(before, now) == [
        "input cache: not given there, 2 now",
        f"input dataset: {'a' * 12} there, {'b' * 12} now",
        "input weights: 1 there, not given now",
    ]


def test_numbers_and_what_is_none_compare_as_in_json() -> None:
    assert parted(Inner(steps=10.0))[0] == {}  # type: ignore[arg-type]
    one, other = (identify("s", Inner(rate=float("nan")), {}, 1).to_json() for _ in range(2))
    assert differences(one, other) == []


def test_each_part_counts_in_the_fingerprint() -> None:
    known = [
        identify("s", Inner(), {"a": "1"}, 1),
        identify("t", Inner(), {"a": "1"}, 1),
        identify("s", Inner(steps=11), {"a": "1"}, 1),
        identify("s", Inner(), {"a": "2"}, 1),
        identify("s", Inner(), {"a": "1"}, 2),
    ]
    assert len({identity.fingerprint for identity in known}) == len(known)


def test_what_only_says_how_it_is_computed_is_at_its_default() -> None:
    settings = FinetuneSettings()
    training = replace(settings.training, workers=3, accumulate=2, checkpoint_every=7, cache_gb=1.0)
    assert parted(replace(settings, training=training, validate_every=5).identity)[0] == {}
    assert at_defaults(Inner(steps=1, rate=1.0), "rate") == Inner(steps=1)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_runs_folder_is_a_function_of_what_is_not_default(
    preset: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = PRESETS[preset]()
    before = default_folder(preset, settings)
    monkeypatch.chdir(tmp_path)
    assert default_folder(preset, settings) == before
    assert default_folder("other", settings) != before
    other = replace(settings, iterations=settings.iterations + 1)
    assert default_folder(preset, other) != before
    grown = make_dataclass(
        "RunSettings", [("later", int, 3)], bases=(RunSettings,), frozen=True, kw_only=True
    )
    held = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    assert default_folder(preset, grown(**held)) == before
    assert default_folder(preset, grown(**held, later=4)) != before
