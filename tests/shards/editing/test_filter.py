"""Filter expressions mean what they say, and are nothing but filters."""

import pytest

from shards.clip import Event
from shards.editing.filter import FilterError, compile_filter
from shards.index import IndexRow

ROW = IndexRow(
    key="k",
    source_id="dogs/Yabc.wav",
    shard="shards/0.tar",
    offset=512,
    size=1000,
    codec="wav",
    sample_rate_hz=8000,
    num_samples=48000,
    channels=1,
    checksum="0" * 64,
    crc32=0,
    subset="weak",
    recording=None,
    fold=3,
    weak=("Dog", "Cat"),
    events=(Event(0, 1, "Owl"), Event(2, 3, "Owl")),
    meta={"snr_db": 2.5, "device": {"name": "a"}},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('subset == "weak" and duration_s > 5 and "Dog" in weak and meta.snr_db < 3', True),
        ("duration_s == 6.0", True),
        ("4 < duration_s <= 6 < 7", True),
        ("not (fold == 3 or fold == 4)", False),
        ('fold in (1, 2, 3) and subset not in ["test"]', True),
        ("recording is None and weak is not None", True),
        ('meta.device.name == "a"', True),
        ("meta.absent is None and meta.absent.more == None", True),
        ("meta.absent < 3 or meta.absent >= 3", False),
        ('"x" in meta.absent or "Dog" in recording', False),
        ('"Owl" in labels and "Owl" in events and "Owl" not in weak', True),
        ("len(labels) == 3 and len(events) == 2 and len(recording) == 0", True),
        ('startswith(lower(source_id), "dogs/y") and endswith(source_id, ".wav")', True),
        ("num_samples / sample_rate_hz - -1 * 2 + 1 == 9", True),
        ("meta.absent + 1 == 2", False),
        ('"snr_db" in meta', True),
        ("True", True),
    ],
)
def test_expressions(text: str, expected: bool) -> None:
    assert compile_filter(text)(ROW) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected such as"),
        ("subset = 'weak'", "expected such as"),
        ("subsets == 'weak'", "unknown name 'subsets'; did you mean 'subset'"),
        ("subset == weakly", "unknown name 'weakly'.*quotes"),
        ("__import__('os').system('true')", "not allowed"),
        ("().__class__.__bases__", "has no fields"),
        ("key.__class__", "has no fields"),
        ("meta.x(1)", "not allowed"),
        ("open('x')", "no function 'open'"),
        ("len(weak, weak)", "takes 1 values, got 2"),
        ("[x for x in weak]", "not allowed"),
        ("lambda: 1", "not allowed"),
        ("2 ** 100", "not allowed"),
        ("f'{key}'", "not allowed"),
        ("b'x' == key", "not allowed"),
        ("(" * 300 + "1" + ")" * 300, "filter"),
        ("x" * 20_000, "got an expression of 20000 characters"),
    ],
)
def test_what_is_no_filter(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        compile_filter(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subset > 3", "not supported"),
        ('"a" * 1000000000 == key', "cannot compute with 'a'"),
        ("1 / (fold - 3) > 1", "division by zero"),
        ("3 in subset", "requires string"),
        ("startswith(fold, 'x')", "no attribute"),
    ],
)
def test_values_that_do_not_fit_name_the_clip(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=f"at clip dogs/Yabc.wav: .*{message}"):
        compile_filter(text)(ROW)
