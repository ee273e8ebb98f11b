"""`pmam classify`: events and scenes by words, numbers against labels, and what is refused."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from packing import pack
from tone_tagger import VECTORS, use_tones, write_tones, write_weights

from pipelines.cli.main import main
from pipelines.stages.tag.results import TagSet
from pipelines.stages.tag.settings import TagError
from pipelines.stages.tag.truth import named_scenes, numbers_of
from pmam.errors import InputError
from pmam.tagging import sentences
from shards.clip import Clip, Event


@pytest.fixture(autouse=True)
def tones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tones(monkeypatch)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """The tagger's options; the rule by similarity alone."""
    weights, classes = write_weights(tmp_path)
    return [
        *("--weights", str(weights), "--classes", str(classes)),
        *("--window-s", "1", "--least-s", "1"),
    ]


def test_events_have_times_and_scenes_ranks(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 2), ("", 1), ("Gunshot", 1.5)])
    words = ["--events", "talking, gun shot", "--scenes", "office, street"]
    main(["classify", str(file), *options, *words])
    events, scenes = capsys.readouterr().out.split("\n\n")
    rows = list(csv.DictReader(io.StringIO(events), delimiter="\t"))
    told = [(row["onset"], row["offset"], row["event_label"]) for row in rows]
    assert told == [("0.000", "2.000", "talking"), ("3.000", "4.500", "gun shot")]
    (scene,) = csv.DictReader(io.StringIO(scenes), delimiter="\t")
    assert scene["filename"] == str(file)
    assert set(scene["selected"].split(",")) == {"office", "street"}
    main(["classify", str(file), *options, "--events", "storm", "--format", "json"])
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry == {"file": str(file), "duration_s": 4.5, "events": []}


def test_each_word_may_have_its_window_and_other_words_use_the_same_tags(
    options: list[str], tmp_path: Path
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 4)])
    out = tmp_path / "out"
    given = ["classify", str(file), *options, "--output-dir", str(out)]
    main([*given, "--events", "talking", "--event-rule.windows", "talking", "2"])
    assert [path.name for path in sorted(out.glob("tags-*"))] == ["tags-2"]
    assert TagSet(str(out / "tags-2")).grid.window_s == 2
    before = (out / "tags-2" / "stage.json").read_bytes()
    main([*given, "--events", "speech", "--event-rule.windows", "speech", "2"])
    assert (out / "tags-2" / "stage.json").read_bytes() == before
    words = json.loads((out / "words.json").read_text())["words"]
    assert [(w["word"], [t["tag"] for t in w["tags"]]) for w in words] == [("speech", ["Speech"])]


def labelled_set(folder: Path) -> Path:
    """Eight clips of three seconds: half with a bang in the middle, in two scenes."""
    clips = []
    for n in range(8):
        bang = n % 2 == 0
        scene = "office" if n < 4 else "street"
        middle = ("Gunshot" if bang else "", 1)
        first = "Speech" if n != 3 else "Rain"
        write_tones(folder / "source" / f"{n}.wav", [(first, 1), middle, ("", 1)])
        clips.append(
            Clip(
                source_id=f"{n}.wav",
                audio=f"{n}.wav",
                subset="test",
                events=(Event(1.0, 2.0, "gunshot"),) if bang or n == 7 else (),
                meta={"scene": scene},
            )
        )
    pack(folder / "source", clips, folder / "set")
    return folder / "set"


def test_numbers_and_figures_against_a_dataset(
    options: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--events", "gun shot, storm", "--scenes", "office, street"]
    labels = ["--labels", "gunshot, gunshot"]
    given = ["classify", str(labelled_set(tmp_path)), *options, *words, *labels]
    main([*given, "--output-dir", str(out)])
    numbers = json.loads((out / "numbers.json").read_text())
    of_word = numbers["of_words_in_clips"]["gun shot"]
    # Four of the five true clips are found, none wrongly.
    assert of_word["accuracy"]["value"] == pytest.approx(7 / 8)
    assert of_word["micro_f1"]["value"] == pytest.approx(8 / 9)
    assert of_word["rmse"]["value"] == pytest.approx((1 / 8) ** 0.5, abs=1e-5)
    assert of_word["accuracy"]["low_95"] < 7 / 8 < of_word["accuracy"]["high_95"]
    true, said = [1, 0, 1, 0, 1, 0, 1, 1], [1, 0, 1, 0, 1, 0, 1, 0]
    ari = sklearn.metrics.adjusted_rand_score(true, said)
    assert of_word["ari"]["value"] == pytest.approx(ari, abs=1e-5)
    # "storm" means Rain, in one clip alone; both words are of one label here.
    assert numbers["labels"] == {"gun shot": "gunshot", "storm": "gunshot"}
    windows = numbers["of_words_in_windows"]["gun shot"]
    assert windows["accuracy"]["value"] == pytest.approx(23 / 24)
    assert set(numbers["scenes"]) == {"selected", "top5", "level1"}
    assert numbers["scenes"]["top5"]["value"] == 1
    pictures = {path.stem for path in (out / "figures").glob("*.png")}
    kinds = ("roc", "precision_recall", "densities", "actual_predicted", "confusion")
    assert pictures == {f"{what}_{kind}" for what in ("events", "scenes") for kind in kinds}
    assert (out / "events.tsv").read_text().count("gun shot") == 4
    told = capfd.readouterr()
    assert told.out.strip() == str(out) and "micro_f1" in told.err


def test_labels_must_fit(options: list[str], tmp_path: Path, refused: Callable[..., str]) -> None:
    packed = labelled_set(tmp_path)
    given = ["classify", packed, *options, "--events", "gun shot"]
    assert "got 2 names for 1 words" in refused(*given, "--labels", "gunshot,gunshot")
    line = refused(*given, "--labels", "bang")
    assert "--labels 'bang': expected some of gunshot" in line
    assert "got an empty name" in refused(*given, "--labels", "gunshot,")


def test_scenes_that_no_clip_has_are_wrong_answers_too() -> None:
    known = ("city_center", "home")
    asked = ("city center", "storm")
    assert named_scenes(asked, (), known) == {"city center": "city_center", "storm": "storm"}
    assert named_scenes(("storm",), (), known) == {}
    given = named_scenes(asked, ("home", "storm"), known)
    assert given == {"city center": "home", "storm": "storm"}
    with pytest.raises(TagError, match="--scene-labels 'a': expected one of city_center, home"):
        named_scenes(asked, ("a", "b"), known)
    with pytest.raises(TagError, match="got 1 names for 2 words"):
        named_scenes(asked, ("home",), known)


def test_nothing_is_compared_without_labels(options: list[str], tmp_path: Path) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 2)])
    out = tmp_path / "out"
    main(["classify", str(file), *options, "--events", "talking", "--output-dir", str(out)])
    assert not (out / "numbers.json").exists() and not (out / "figures").exists()
    assert numbers_of(None, None) == {}


def test_the_preset_cuts_and_maps_as_published(options: list[str], tmp_path: Path) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 6)])
    out, given = tmp_path / "out", options[:4]
    words = ["--events", "talking, gunshot", "--preset", "tmrl-published"]
    main(["classify", str(file), *given, *words, "--output-dir", str(out)])
    told = json.loads((out / "words.json").read_text())["settings"]
    assert told["tags"]["published_windows"] and told["tags"]["probabilities"] == "softmax"
    tags = TagSet(str(out / "tags-1.99642"))
    (recording,) = tags.recordings
    # 6 s at 8 kHz are 1.09 s at 44.1 kHz: two windows, one from each whole second of these.
    assert len(tags.scores(recording).probabilities) == 2
    assert np.allclose(tags.scores(recording).probabilities.sum(axis=1), 1, atol=1e-5)
    rows = list(csv.DictReader((out / "events.tsv").open(), delimiter="\t"))
    assert rows[0]["offset"] == "6.000"
    # What is given on the command line counts more.
    changed = tmp_path / "changed"
    main(
        ["classify", str(file), *given, *words, "--output-dir", str(changed), "--threshold", "0.5"]
    )
    told = json.loads((changed / "words.json").read_text())["settings"]
    assert told["tags"]["threshold"] == 0.5 and told["tags"]["published_windows"]


def test_words_that_cannot_be_looked_for(
    options: list[str], tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 2)])
    given = ["classify", file, *options]
    assert "no words: give --events" in refused(*given)
    assert "empty word" in refused(*given, "--events", "talking,, rain")
    assert "empty word" in refused(*given, "--scenes", "")
    line = refused(*given, "--events", "talking, nothing")
    assert "no tag means 'nothing' (nearest: Speech -0.58" in line
    assert "--event-rule.similarity" in line
    line = refused(*given, "--scenes", "office, nothing")
    assert "no tag is near the scene 'nothing' (nearest: Speech -0.58" in line

    def absent(place: str) -> None:
        raise InputError(f"{place}: no such folder; give --sentences FOLDER")

    monkeypatch.setattr(sentences, "SentenceModel", absent)
    line = refused(*given, "--events", "talking", "--sentences", "./absent")
    assert "./absent: no such folder; give --sentences" in line


def test_words_that_are_encoded_once() -> None:
    from pipelines.stages.tag.words import Remembering

    asked: list[str] = []

    class Counting:
        def encode(self, texts: list[str]) -> np.ndarray:
            asked.extend(texts)
            return VECTORS.encode(texts)

    model = Remembering(Counting())  # type: ignore[arg-type]
    first = model.encode(["rain", "speech", "rain"])
    assert model.encode(["speech"]).tolist() == first[1:2].tolist()
    assert first.shape == (3, 3) and asked == ["rain", "speech"]
