"""Training clips labelled by words: what each gets, what stays, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packing import pack
from tone_tagger import use_tones, write_tones, write_weights

from pipelines.presets.esc10 import words as preset
from pipelines.presets.settings import RunSettings
from pipelines.presets.word_labels import check_words, word_labelled
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.run_folder import RunFolder
from pipelines.runtime.files.urls import open_dataset
from pipelines.runtime.stage import record_of
from pipelines.stages.tag.settings import TagError, TaggerSettings, WordLabelSettings
from pipelines.stages.tag.word_labels import word_classes
from pmam.tagging.settings import TagSettings
from shards.clip import Clip, Event
from shards.index import IndexRow


@pytest.fixture(autouse=True)
def tones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tones(monkeypatch)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Training clips of each subset, one of them mislabelled, and a test clip."""
    folder = tmp_path_factory.mktemp("words")
    parts = {
        "talk": [("Speech", 2), ("", 2)],
        "both": [("", 1), ("Gunshot", 1), ("Speech", 2)],
        "none": [("", 4)],
        "shown": [("Gunshot", 1), ("", 3)],
    }
    for name, each in parts.items():
        write_tones(folder / "source" / f"{name}.wav", each)
    clips = [
        Clip(source_id="talk.wav", audio="talk.wav", subset="unlabeled"),
        Clip(source_id="both.wav", audio="both.wav", subset="weak", weak=("Rain_fall",)),
        Clip(source_id="none.wav", audio="none.wav", subset="strong", events=()),
        Clip(
            source_id="shown.wav",
            audio="shown.wav",
            subset="test",
            events=(Event(0.0, 1.0, "Gun_shot"), Event(2.0, 3.0, "Rain_fall")),
        ),
    ]
    pack(folder / "source", clips, folder / "set")
    return str(folder / "set")


def settings(folder: Path, **more: Any) -> RunSettings:
    weights, classes = write_weights(folder)
    words = WordLabelSettings(
        **{"events": "talking, gun shot"} | more,
        tagger=TaggerSettings(weights=str(weights), classes=str(classes)),
        tags=TagSettings(window_s=1.0, least_s=1.0),
    )
    return replace(preset(), words=words)


def labelled(dataset: str, folder: Path, **more: Any) -> dict[str, IndexRow]:
    url = word_labelled(settings(folder, **more), dataset, RunFolder(str(folder / "run")))
    found = open_dataset(url)
    assert found.manifest.classes == ("talking", "Gun_shot")
    return {row.source_id: row for row in found.rows}


def test_words_say_what_sounds_in_each_training_clip(dataset: str, tmp_path: Path) -> None:
    rows = labelled(dataset, tmp_path)
    assert {name: (row.subset, row.weak) for name, row in rows.items() if row.subset != "test"} == {
        "talk.wav": ("weak", ("talking",)),
        "both.wav": ("weak", ("Gun_shot", "talking")),
        "none.wav": ("weak", ()),
    }
    assert rows["shown.wav"].subset == "test"  # keeps its people's labels, of the classes alone
    assert [event.label for event in rows["shown.wav"].events or ()] == ["Gun_shot"]
    told = record_of(str(tmp_path / "run" / "word-labels"))["result"]
    assert (told["clips"], told["silent"]) == (3, 1)
    assert told["clips_of"] == {"talking": 2, "Gun_shot": 1}


def test_words_say_when_it_sounds(dataset: str, tmp_path: Path) -> None:
    rows = labelled(dataset, tmp_path, kind="strong")
    told = {
        name: (row.subset, [(e.onset_s, e.offset_s, e.label) for e in row.events or ()])
        for name, row in rows.items()
    }
    assert told["talk.wav"] == ("strong", [(0.0, 2.0, "talking")])
    assert told["both.wav"] == ("strong", [(1.0, 2.0, "Gun_shot"), (2.0, 4.0, "talking")])
    assert told["none.wav"] == ("strong", [])
    assert rows["none.wav"].events == ()


def test_words_that_nobody_says_end_the_run(dataset: str, tmp_path: Path) -> None:
    given = settings(tmp_path, events="storm")
    with pytest.raises(TagError, match="none of the words storm is heard in any of 3 clips"):
        word_labelled(given, dataset, RunFolder(str(tmp_path / "run")))


def test_words_that_no_tag_means_are_refused_before_anything_is_tagged(
    dataset: str, tmp_path: Path
) -> None:
    given = settings(tmp_path, events="nothing")
    with pytest.raises(TagError, match="no tag means 'nothing'"):
        word_labelled(given, dataset, RunFolder(str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "no words: give --words.events"),
        ({"events": "a, , b"}, "got an empty word"),
        ({"events": "a, b", "labels": "x"}, "got 1 labels for 2 words"),
        ({"events": "a, b", "labels": "x, x"}, "'x' is the label of several words"),
        ({"events": "a", "kind": "strong"}, "words make all training clips strong ones"),
    ],
)
def test_words_that_cannot_label_are_refused_before_anything_is_tagged(
    more: dict[str, Any], said: str
) -> None:
    with pytest.raises((PipelineError, ValueError), match=said):
        check_words(replace(preset(), words=WordLabelSettings(**more)))


def test_labels_are_called_as_asked_for_or_as_in_the_dataset() -> None:
    given = WordLabelSettings(events="dog bark, car horn")
    assert word_classes(given, ("Dog_bark", "cat")) == {
        "dog bark": "Dog_bark",
        "car horn": "car horn",
    }
    named = replace(given, labels="Bark, Horn")
    assert list(word_classes(named, ("Dog_bark",)).values()) == ["Bark", "Horn"]
