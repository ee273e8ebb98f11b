"""What `detect` writes for the test clips' files is what `evaluate` counts."""

import io
from pathlib import Path
from typing import Any

import pytest

from pipelines.inference.layers import load_detector
from pipelines.run import RunResult
from pipelines.runtime.stage import record_of
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.stage import write_detections
from pipelines.stages.evaluate.stage import evaluate
from pipelines.stages.settings import EvaluateSettings
from pmam.events.decoding import decode_at
from pmam.events.settings import BoxOverrides, PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.event_f1 import event_f1
from pmam.metrics.registry import METRICS
from pmam.settings import from_json

CASES: dict[str, dict[str, Any]] = {
    "as stored": {},
    "other windows": {"median_s": 0.2, "median_by_class_s": {"siren": 0.6}},
    "even windows": {"median_s": 0.16, "odd_windows": False, "threshold": 0.35},
    "clip mask": {"clip_mask": True, "threshold": 0.1, "threshold_by_class": {"siren": 0.2}},
    "maximum": {"method": "max", "threshold": 0.4},
    "boxes": {"method": "boxes", "boxes": BoxOverrides(step_s=0.3), "threshold": 0.3},
}
Times = list[tuple[object, object, str]]


@pytest.mark.parametrize("case", CASES)
def test_detect_writes_what_evaluate_counts(
    finished: tuple[Path, RunResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    run, given = finished[0], CASES[case]
    classes = record_of(str(run / "score"))["result"]["classes"]
    for name in ("median_by_class_s", "threshold_by_class"):
        if name in given:  # whatever the demo's classes are called
            given = {**given, name: dict.fromkeys(classes[-1:], *given[name].values())}
    counted: list[EvaluationSet] = []

    def kept(clips: EvaluationSet) -> Any:
        counted.append(clips)
        return event_f1(clips)

    monkeypatch.setitem(METRICS, "event_f1", kept)
    settings = EvaluateSettings(pictures=False, **given)
    evaluate(str(run / "dataset"), str(run / "score"), str(tmp_path / "numbers"), settings)
    (clips,) = counted
    expected = {
        clip: [
            (pytest.approx(e.onset_s, abs=1e-6), pytest.approx(e.offset_s, abs=1e-6), e.label)
            for e in decode_at(clips.scores[clip], classes, clips.edges_s(clip), clips.threshold)
        ]
        for clip in clips.clips
    }
    files = {str(file): file.stem for file in sorted((run / "soundscapes" / "test").iterdir())}
    assert {Path(clip).stem for clip in expected} == set(files.values())
    found: dict[str, Times] = {Path(clip).stem: [] for clip in expected}
    text = io.StringIO()
    write_detections(
        list(files), str(run / "finetune" / "detector"), DetectSettings(batch=3, **given), out=text
    )
    for line in text.getvalue().splitlines()[1:]:
        file, onset_s, offset_s, label, _ = line.split("\t")
        found[files[file]].append((float(onset_s), float(offset_s), label))
    assert found == {Path(clip).stem: events for clip, events in expected.items()}
    assert case == "as stored" or sum(map(len, found.values())) > 3


def test_what_is_stored_is_what_was_chosen(finished: tuple[Path, RunResult]) -> None:
    run = finished[0]
    stored = load_detector(str(run / "finetune" / "detector")).postprocess
    for stage in ("finetune", "score"):
        recorded = record_of(str(run / stage))["result"]["postprocess"]
        assert from_json(PostprocessSettings, recorded) == stored
    assert stored != PostprocessSettings()  # validation clips of the demo have events
