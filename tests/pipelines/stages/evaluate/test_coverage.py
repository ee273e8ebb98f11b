"""Scores that do not reach from a clip's start to its end are told, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate_cases as cases
import numpy as np
import pytest

from pipelines.cli.main import main
from pipelines.runtime.errors import PipelineError
from pipelines.stages.evaluate.coverage import clips_of_other_length, refuse_unscored_events
from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet


def clips(frames: dict[str, int], onset_s: float = 1.0, first_s: float = 0.0) -> EvaluationSet:
    """Clips of ten seconds with so many frames of half a second, and an event in each."""
    return EvaluationSet(
        scores={clip: np.zeros((count, 1)) for clip, count in frames.items()},
        hop_s={clip: first_s + 0.5 * np.arange(count + 1.0) for clip, count in frames.items()},
        ground_truth={
            clip: [Event(onset_s=onset_s, offset_s=onset_s + 1, label="dog")] for clip in frames
        },
        durations_s=dict.fromkeys(frames, 10.0),
        classes=["dog"],
    )


def test_clips_of_another_length_are_named() -> None:
    found = clips_of_other_length(clips({"whole": 20, "a frame more": 21, "half": 10, "twice": 40}))
    assert found == ["half: 0 to 5 of 10 s", "twice: 0 to 20 of 10 s"]
    assert clips_of_other_length(clips({"late": 18}, first_s=1.0)) == ["late: 1 to 10 of 10 s"]


def test_events_behind_the_last_frame_are_refused() -> None:
    refuse_unscored_events("theirs", clips({"a": 10, "b": 20}, onset_s=5.4))  # the frame to come
    with pytest.raises(PipelineError, match=r"1 event .*a: dog at 5.5 s, scores until 5 s"):
        refuse_unscored_events("theirs", clips({"a": 10, "b": 20}, onset_s=5.5))


def test_it_is_counted_beside_the_numbers(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    truth, scores = cases.drawn()
    tables = cases.write_score_tables(tmp_path / "scores", scores)
    table, file = cases.write_truth(tmp_path, truth), tmp_path / "lengths.tsv"
    head, first, *rows = file.read_text().splitlines()
    longer = first.partition("\t")[0] + "\t77"
    file.write_text("\n".join([head, longer, *rows]) + "\n")
    lengths = ("--durations", str(file))
    options = ("--out", str(tmp_path / "out"), "--metrics", "clip", "--resamples", "0")
    main(["evaluate", str(table), str(tables), *lengths, *options, "--no-pictures"])
    assert "scores of 1 of 6 clips do not end with the clip" in capfd.readouterr().out
    text = (tmp_path / "out" / "lacking.json").read_text()
    assert '"clips_of_other_length": 1' in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop_s": np.array([0.5, 0.5])}, "hop_s [0.5 0.5]; expected one positive"),
        ({"hop_s": 0.0}, "hop_s 0.; expected one positive"),
        ({"hop_s": np.array("x")}, "expected one positive"),
        ({"scores": np.full((20, 1), "x")}, "scores of the type <U1; expected numbers"),
        ({"scores": np.ones((20, 1), complex)}, "scores of the type complex128"),
        ({"scores": np.ones((20, 2))}, "has scores (20, 2); expected (frames, 1)"),
        ({}, "no readable npz (File is not a zip file)"),
    ],
)
def test_odd_arrays_are_one_line(
    change: dict[str, Any], message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "truth.tsv").write_text("filename\tonset\toffset\tevent_label\na.wav\t1\t3\tdog\n")
    (tmp_path / "lengths.tsv").write_text("filename\tduration\na.wav\t10\nb.wav\t10\n")
    sound: dict[str, Any] = {"scores": np.zeros((20, 1)), "classes": ["dog"], "hop_s": 0.5}
    np.savez(tmp_path / "scores" / "a.npz", **sound)
    np.savez(tmp_path / "scores" / "b.npz", **{**sound, **change})
    if not change:
        (tmp_path / "scores" / "b.npz").write_bytes(b"PK\x03\x04 cut off")
    places = (tmp_path / "truth.tsv", tmp_path / "scores", "--out", tmp_path / "out")
    assert message in refused("evaluate", *places, "--durations", tmp_path / "lengths.tsv")


def test_events_that_nothing_can_be_done_to_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    for name, end in (("truth", 3), ("said", 44)):
        text = f"filename\tonset\toffset\tevent_label\na.wav\t1\t{end}\tdog\n"
        (tmp_path / f"{name}.tsv").write_text(text)
    (tmp_path / "lengths.tsv").write_text("filename\tduration\na.wav\t10\n")
    places = [str(tmp_path / name) for name in ("truth.tsv", "said.tsv", "lengths.tsv", "out")]
    options = ("--durations", places[2], "--out", places[3], "--resamples", "0", "--no-pictures")
    main(["evaluate", *places[:2], *options, "--metrics", "event", "--median-s", "0.5"])
    assert "1 event behind the clip (a: dog until 44 of 10 s)" in capfd.readouterr().out
    assert "said.tsv: events, no scores" in caplog.text
