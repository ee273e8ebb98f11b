"""Windows that a tagger hears: real ones, and those of TMRL against its own numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parity_rule import load, rng

from pmam.errors import InputError
from pmam.tagging.classes import audioset_classes, class_names
from pmam.tagging.sentences import cleaned, plain
from pmam.tagging.settings import PUBLISHED, PUBLISHED_WINDOWS
from pmam.tagging.windows import WindowGrid, cut, repeated

RATE_HZ = 16000


@pytest.fixture(scope="module")
def fixture(parity_dir: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return load(parity_dir, "10_tmrl_windows")


def test_published_windows(fixture: Any) -> None:
    meta, _ = fixture
    durations = meta["duration_seconds_and_min_samples"]
    assert meta["windows_in_16k_samples"]
    for name, expected in meta["windows_in_16k_samples"].items():
        length, word = name.split("_")
        samples = round(float(length.removesuffix("s")) * RATE_HZ)
        grid = WindowGrid(rate_hz=RATE_HZ, window_s=durations[word][0], hop_s=1.0, published=True)
        assert [list(span) for span in grid.spans(samples)] == expected, name


def test_published_lengths(fixture: Any) -> None:
    durations = fixture[0]["duration_seconds_and_min_samples"]
    for word, (window_s, least) in durations.items():
        ours = PUBLISHED_WINDOWS.get(word, PUBLISHED.tags.window_s)
        assert ours == pytest.approx(window_s)
        assert PUBLISHED.tags.least_s * RATE_HZ == least


def test_repeating(fixture: Any) -> None:
    meta, expected = fixture
    shape = tuple(meta["inputs"]["short"]["shape"])
    short = rng("tmrl.short", meta["seed"]).standard_normal(shape).astype(np.float32)
    wanted = expected["repeat_if_short"]
    assert np.array_equal(repeated(short, len(wanted)), wanted)
    assert np.array_equal(repeated(short, 3), short[:3])
    with pytest.raises(InputError, match="no audio"):
        repeated(short[:0], 5)


def test_order_of_classes(fixture: Any) -> None:
    meta, expected = fixture
    by_id = audioset_classes("ids")
    assert [each.row for each in by_id] == expected["class_order_index"].tolist()
    first = [[each.row, each.mid, each.name] for each in by_id]
    assert first[: len(meta["class_order_first8"])] == meta["class_order_first8"]
    assert [each.row for each in audioset_classes()] == list(range(527))


def test_cleaning(fixture: Any) -> None:
    for text, expected in fixture[0]["dataClean"].items():
        assert cleaned(text) == expected
    assert plain("Baby cry") == plain("baby_cry") == plain("babycry") == "babycry"


def test_every_output_is_compared(fixture: Any) -> None:
    text = Path(__file__).read_text()
    for name in fixture[1]:
        assert f'"{name}"' in text, f"the fixture's {name} is not compared"
    assert json.dumps(sorted(fixture[1]))


def test_class_names() -> None:
    assert class_names(527, "rows")[0] == "Speech"
    assert class_names(527, "ids")[0] == "Firecracker"
    assert class_names(2, "rows", ("a", "b")) == ("a", "b")
    with pytest.raises(InputError, match="10 outputs without class names"):
        class_names(10, "rows")
    with pytest.raises(InputError, match="got 1 class names for a tagger of 2 outputs"):
        class_names(2, "rows", ("a",))


def test_real_windows_have_their_hop_in_the_middle() -> None:
    grid = WindowGrid(rate_hz=100, window_s=4.0, hop_s=1.0)
    spans = grid.spans(1000)
    assert spans[:3] == [(0, 250), (0, 350), (50, 450)]
    assert spans[-1] == (750, 1000)
    assert [grid.cell_s(k, 9.5) for k in (0, 9)] == [(0.0, 1.0), (9.0, 9.5)]
    with pytest.raises(InputError, match="positive"):
        WindowGrid(rate_hz=100, window_s=0.0, hop_s=1.0)


@given(
    samples=st.integers(0, 3000),
    pieces=st.integers(1, 9),
    window_s=st.floats(0.05, 40),
    hop_s=st.floats(0.3, 9),
    published=st.booleans(),
)
def test_streams_give_the_windows_of_the_whole(
    samples: int, pieces: int, window_s: float, hop_s: float, published: bool
) -> None:
    rate_hz = 44100 // 441 if published else 100
    grid = WindowGrid(rate_hz=rate_hz, window_s=window_s, hop_s=hop_s, published=published)
    if published:  # its rate is fixed: lengths in seconds are short here
        samples *= 100
    recording = np.arange(samples, dtype=np.float32)
    got = list(cut(np.array_split(recording, pieces), grid))
    spans = grid.spans(samples)
    assert len(got) == len(spans) == grid.count(samples)
    for window, (start, stop) in zip(got, spans, strict=True):
        assert np.array_equal(window, recording[start:stop])
    if not published and samples:
        heard = {n for start, stop in spans for n in (start, stop)}
        assert window_s < hop_s or (min(heard) == 0 and max(heard) == samples)
