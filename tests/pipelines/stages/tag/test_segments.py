"""Words of stretches of clips, and `pmam prototypes --words`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import prototype_cases as cases
import pytest
from packing import pack
from tone_tagger import VECTORS, use_tones, write_tones, write_weights

from pipelines.cli.main import main
from pipelines.stages.tag.segments import SegmentWords, stretch
from pipelines.stages.tag.settings import TaggerSettings
from pmam.tagging.settings import EventRule
from shards.clip import Clip


@pytest.fixture(autouse=True)
def tones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tones(monkeypatch)


def test_a_stretch_is_cut_out_of_blocks() -> None:
    whole = np.arange(100, dtype=np.float32)
    for parts in (1, 7):
        blocks = np.array_split(whole, parts)
        assert stretch(blocks, 10, 2.0, 5.0).tolist() == list(range(20, 50))
        # A second around the middle of what is shorter, cut at the ends.
        assert stretch(blocks, 10, 4.9, 5.1).tolist() == list(range(45, 55))
        assert stretch(blocks, 10, 0.0, 0.2).tolist() == list(range(6))
        assert stretch(blocks, 10, 9.8, 10.0).tolist() == list(range(94, 100))


def test_stretches_have_the_words_that_sound_in_them(tmp_path: Path) -> None:
    write_tones(tmp_path / "source" / "a.wav", [("Speech", 2), ("Rain", 2), ("Gunshot", 2)])
    clip = Clip(source_id="a.wav", audio="a.wav", subset="test")
    dataset, _ = pack(tmp_path / "source", [clip], tmp_path / "set")
    weights, classes = map(str, write_weights(tmp_path))
    tagger = TaggerSettings(weights=weights, classes=classes)
    words = ("gun shot", "talking", "storm")
    naming = SegmentWords(dataset, tagger, VECTORS, words, EventRule())
    (row,) = dataset.rows
    found = [naming.nearest([(row, s, s + 2)])[0] for s in (0.0, 2.0, 4.0)]
    assert [each["word"] for each in found] == ["talking", "storm", "gun shot"]
    assert all(each["score"] > 0.99 for each in found)
    both = naming.nearest([(row, 0.0, 2.0), (row, 2.0, 4.0)], count=2)
    assert {each["word"] for each in both} == {"talking", "storm"}
    assert all(each["score"] == pytest.approx(0.5, abs=0.01) for each in both)
    assert naming.nearest([]) == []


def test_prototypes_are_named(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def here(stage: Any, plans: Any, make: Any, arguments: Any, **_: Any) -> list[Any]:
        return [make(**arguments)(plan) for plan in plans.values()]

    monkeypatch.setattr("pipelines.stages.prototypes.survey.run_shards", here)
    dataset = cases.write_dataset(tmp_path, ("s1", "s2", "u1"))
    fit, label = cases.write_fit(tmp_path / "fit-1"), str(tmp_path / "label-1")
    random = np.random.default_rng(0)
    posteriors = {
        row.key: random.dirichlet(np.ones(cases.K), cases.FRAMES).astype(np.float32)
        for row in dataset.rows
    }
    url = dataset.store.root
    cases.write_posteriors(dataset, url, fit, label, lambda row: posteriors[row.key], tmp_path)
    weights, classes = map(str, write_weights(tmp_path))
    given = ["prototypes", fit, "--dataset", url, "--out", str(tmp_path / "out")]
    given += ["--tagger.weights", weights, "--tagger.classes", classes]
    main([*given, "--words", "talking, storm"])
    assert "nearest" in capfd.readouterr().out
    for of in json.loads((tmp_path / "out" / "prototypes.json").read_text())["of_prototypes"]:
        assert {each["word"] for each in of["words"]} == {"talking", "storm"}
    assert "Nearest words: " in (tmp_path / "out" / "prototypes.html").read_text()
    assert "no tag means 'nothing'" in refused(*given, "--words", "nothing")
    assert "empty word" in refused(*given, "--words", "talking,")
