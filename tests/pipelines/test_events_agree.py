"""What `detect` writes for the test clips' files is what `evaluate` counts."""

import io
from pathlib import Path
from typing import Any

import packing
import pytest
import soundfile as sf
from detect_cases import CLASSES, RATE, noise

from pipelines.inference import frame_job
from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.runtime.stage import record_of
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.write import write_detections
from pipelines.stages.evaluate.settings import EvaluateSettings
from pipelines.stages.evaluate.stage import evaluate
from pipelines.stages.score import score
from pipelines.stages.settings import ScoreSettings
from pmam.events.decoding import decode_at
from pmam.events.settings import BoxOverrides, PostprocessSettings
from pmam.metrics import families
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.detection_set import detected
from pmam.models.checkpoint import pack_detector, unpack
from pmam.models.detector import DetectorModel
from pmam.settings import from_json
from shards.clip import Clip, Event

# Below a window, above it, and none of a whole number of frames.
LENGTHS_S = (2.0, 3.013, 3.013, 6.51, 25.027)
STORED = PostprocessSettings(
    median_s=0.2, median_by_class_s={"car": 0.6}, threshold=0.45, threshold_by_class={"dog": 0.6}
)
CASES: dict[str, dict[str, Any]] = {
    "as stored": {},
    "other windows": {"median_s": 0.3, "threshold_by_class": {"bird": 0.3}},
    "even windows": {"median_s": 0.16, "odd_windows": False, "threshold": 0.35},
    "clip mask": {"clip_mask": True, "threshold": 0.1},
    "maximum": {"method": "max", "threshold": 0.7},
    "boxes": {"method": "boxes", "boxes": BoxOverrides(step_s=0.3), "threshold": 0.3},
}


@pytest.fixture(scope="module")
def scored(detector: DetectorModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips, their dataset, a detector, and what it gives for them."""
    folder = tmp_path_factory.mktemp("agree")
    clips = []
    for number, length_s in enumerate(LENGTHS_S):
        name = f"{number}.wav"
        sf.write(folder / name, noise(length_s, seed=number), RATE)
        events = (Event(0.5, 1.0, CLASSES[number % 3]), Event(1.2, 1.9, "dog"))
        clips.append(Clip(source_id=name, audio=name, subset="test", events=events))
    packing.pack(folder, clips, folder / "dataset")
    checkpoint = pack_detector(detector)
    own = unpack(checkpoint, "detector")
    assert isinstance(own, DetectorModel)
    own.postprocess = STORED
    write_checkpoint(store(str(folder)), "detector", pack_detector(own))

    def run_shards(stage: Any, plans: Any, make: Any, arguments: Any, **_: Any) -> list[Any]:
        """As the real one, in this process: what is computed is the same."""
        worker = make(**arguments)
        return [worker(plan) for plan in plans.values()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_job, "run_shards", run_shards)
        score(
            str(folder / "dataset"),
            str(folder / "score"),
            ScoreSettings(subsets=("test",)),
            checkpoint=str(folder / "detector"),
        )
    return folder


@pytest.mark.parametrize("case", CASES)
def test_detect_writes_what_evaluate_counts(
    scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    counted: list[EvaluationSet] = []

    def kept(clips: EvaluationSet) -> Any:
        counted.append(clips)
        return detected(clips)

    monkeypatch.setattr(families, "detected", kept)
    settings = EvaluateSettings(pictures=False, resamples=0, **CASES[case])
    evaluate(str(scored / "dataset"), str(scored / "score"), str(tmp_path / "out"), settings)
    (clips,) = counted
    # The thresholds are not those of the set but what stands in the case, or in the detector.
    limits = settings.applied(STORED).thresholds(CLASSES)
    assert clips.threshold == limits
    expected = {
        clip: [
            (pytest.approx(e.onset_s, abs=1e-6), pytest.approx(e.offset_s, abs=1e-6), e.label)
            for e in decode_at(clips.scores[clip], CLASSES, clips.edges_s(clip), limits)
        ]
        for clip in clips.clips
    }
    assert sum(map(len, expected.values())) > 10
    text = io.StringIO()
    files = [str(scored / clip) for clip in expected]
    write_detections(
        files, str(scored / "detector"), DetectSettings(batch=3, **CASES[case]), out=text
    )
    found: dict[str, list[tuple[float, float, str]]] = {clip: [] for clip in expected}
    for line in text.getvalue().splitlines()[1:]:
        file, onset_s, offset_s, label, _ = line.split("\t")
        found[Path(file).name].append((float(onset_s), float(offset_s), label))
    assert found == expected


def test_what_is_stored_decides(scored: Path) -> None:
    recorded = record_of(str(scored / "score"))["result"]["postprocess"]
    assert from_json(PostprocessSettings, recorded) == STORED
