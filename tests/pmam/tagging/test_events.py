"""Words, tags and events with times."""

import itertools

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from word_cases import Vectors, minilm_dir

from pmam.errors import InputError
from pmam.tagging.events import (
    TagScores,
    WordMap,
    events_of,
    no_tag_for,
    tag_probabilities,
    window_of,
)
from pmam.tagging.sentences import SentenceModel, similarities
from pmam.tagging.settings import PUBLISHED, PUBLISHED_OLDER, EventRule, TagSettings, words_of
from pmam.tagging.windows import WindowGrid

TAGS = ("Baby cry, infant cry", "Gunshot, gunfire", "Rain")
VECTORS = Vectors(
    {
        "baby cry, infant cry": (1, 0, 0),
        "gunshot, gunfire": (0, 1, 0),
        "rain": (0, 0, 1),
        "shot": (0.0, 0.45, 0.893),
        "crying": (0.5, 0.0, np.sqrt(0.75)),
        "infant": (0.1, 0.99, 0),
    }
)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6))
def test_probabilities_are_scipys(logits: list[float]) -> None:
    row = np.array([logits], np.float32)
    wide = row.astype(np.float64)
    np.testing.assert_allclose(
        tag_probabilities(row, "sigmoid"), scipy.special.expit(wide), atol=1e-7
    )
    np.testing.assert_allclose(
        tag_probabilities(row, "softmax"), scipy.special.softmax(wide, axis=1), atol=1e-7
    )


def test_a_tag_means_a_word_by_similarity_or_by_holding_it() -> None:
    words = ("crying", "shot", "infant")
    both = WordMap.of(VECTORS, words, TAGS, EventRule())
    assert both.means.tolist() == [
        [True, False, True],  # exactly 0.5, and 0.87
        [False, True, True],  # inside "gunshot" in spite of 0.45
        [True, True, False],
    ]
    alone = WordMap.of(VECTORS, words, TAGS, EventRule(contained=False))
    assert alone.means.tolist() == [
        [True, False, True],
        [False, False, True],
        [False, True, False],
    ]
    last = WordMap.of(VECTORS, words, TAGS, EventRule(one_word=True))
    assert last.means.tolist() == [
        [False, False, False],
        [False, False, True],
        [True, True, False],
    ]


def test_words_without_a_tag_are_told_with_the_nearest() -> None:
    words = WordMap.of(VECTORS, ("shot",), TAGS[:1], EventRule())
    assert no_tag_for(words) == "no tag means 'shot' (nearest: Baby cry, infant cry 0.00)"
    assert no_tag_for(WordMap.of(VECTORS, ("shot",), TAGS, EventRule())) is None


def test_only_the_highest_tags_from_the_threshold_on_count() -> None:
    grid = WindowGrid(rate_hz=10, window_s=2.0, hop_s=1.0)
    probabilities = np.array([[0.3, 0.2, 0.1], [0.1, 0.1, 0.05], [0.0, 0.9, 0.8]], np.float32)
    tags = TagScores(probabilities=probabilities, names=TAGS, grid=grid, end_s=3.0)
    assert tags.counted(1, 0.1).tolist() == [
        [True, False, False],
        [True, False, False],
        [False, True, False],
    ]
    assert tags.counted(2, 0.15).tolist() == [
        [True, True, False],
        [False, False, False],
        [False, True, True],
    ]
    words = WordMap.of(VECTORS, ("crying", "shot"), TAGS, EventRule())
    scores = words.scores(tags, TagSettings(top=2, threshold=0.15))
    np.testing.assert_allclose(scores, [[0.3, 0.2], [0, 0], [0.8, 0.9]])


def test_neighbouring_windows_are_one_event() -> None:
    grid = WindowGrid(rate_hz=10, window_s=2.0, hop_s=1.0)
    found = events_of(np.array([0.2, 0.5, 0, 0, 0.1], np.float32), "dog", grid, end_s=4.5)
    told = [(e.event.onset_s, e.event.offset_s, e.event.label, round(e.score, 3)) for e in found]
    assert told == [(0.0, 2.0, "dog", 0.5), (4.0, 4.5, "dog", 0.1)]
    assert events_of(np.zeros(3, np.float32), "dog", grid, 3.0) == []


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_events_cover_the_windows_that_speak_for_them(active: list[bool]) -> None:
    grid = WindowGrid(rate_hz=10, window_s=3.0, hop_s=0.5)
    end_s = 0.5 * len(active)
    found = events_of(np.array(active, np.float32), "dog", grid, end_s)
    covered = [
        any(e.event.onset_s <= 0.5 * k and 0.5 * (k + 1) <= e.event.offset_s for e in found)
        for k in range(len(active))
    ]
    assert covered == active
    assert all(a.event.offset_s < b.event.onset_s for a, b in itertools.pairwise(found))


def test_words_have_windows_of_their_own() -> None:
    assert window_of("gun shot", PUBLISHED.events, PUBLISHED.tags) == pytest.approx(
        1.99642, abs=1e-5
    )
    assert window_of("dog", PUBLISHED.events, PUBLISHED.tags) == PUBLISHED.tags.window_s
    assert window_of("dog", EventRule(windows={"Dog": 3.0}), TagSettings()) == 3.0


def test_published_versions_differ_in_their_thresholds() -> None:
    assert PUBLISHED.events.contained and not PUBLISHED_OLDER.events.contained
    assert (PUBLISHED.scenes.merge, PUBLISHED_OLDER.scenes.merge) == (0.6, 0.5)
    assert (PUBLISHED.scenes.scene, PUBLISHED_OLDER.scenes.scene) == (0.1, 0.2)


def test_typed_words() -> None:
    assert words_of(" gun shot, glass ,gun shot", "--events") == ("gun shot", "glass")
    for text in ("", "a,,b", " , "):
        with pytest.raises(InputError, match="empty word"):
            words_of(text, "--events")


def test_bad_settings() -> None:
    for values in ({"window_s": 0}, {"hop_s": -1}, {"least_s": -1}, {"top": 0}, {"threshold": 2}):
        with pytest.raises(InputError, match="expected"):
            TagSettings(**values)
    with pytest.raises(InputError, match="one of the two"):
        TagSettings(noise=3.0, published_noise=2.0)


def test_a_real_sentence_model_finds_the_tags_of_words() -> None:
    model = SentenceModel(str(minilm_dir()))
    tags = ("Baby cry, infant cry", "Gunshot, gunfire", "Shatter", "Glass", "Speech", "Rain")
    words = ("baby crying", "gun shot", "glass breaking")
    found = WordMap.of(model, words, tags, EventRule())
    assert [found.nearest(word, 1)[0][0] for word in words] == [tags[0], tags[1], tags[3]]
    assert not found.means[:, 4:].any()
    own = similarities(model, words, words)
    np.testing.assert_allclose(np.diag(own), 1, atol=1e-5)


def test_a_sentence_model_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    minilm_dir()
    with pytest.raises(InputError, match=r"no such folder; .*hf download"):
        SentenceModel("./nowhere")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="sentence model no-such-model: cannot be loaded"):
        SentenceModel("no-such-model")
