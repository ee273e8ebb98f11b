"""score: the detector's probabilities for each frame of each clip of some subsets."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from pipelines.inference.frame_job import FrameFunction, clips_of, open_frames, run_frame_job
from pipelines.inference.layers import load_detector
from pipelines.inference.score_files import ScoreFormat, score_file
from pipelines.runtime.declared import CheckpointUrl, DatasetUrl, StageUrl, Work, stage_function
from pipelines.runtime.files.urls import open_dataset, store
from pipelines.runtime.stage import Stage, record_of
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import RESULTS
from pipelines.stages.settings import ScoreSettings
from pmam.settings import to_json
from shards.frames.reader import FrameSpec

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 2


def score_function(checkpoint: str) -> FrameFunction:
    """The frame probabilities of a detector."""
    detector = load_detector(checkpoint)
    encoder = detector.encoder
    spec = FrameSpec(
        kind="scores",
        width=len(detector.classes),
        dtype="float32",
        hop_s=encoder.hop_s,
        columns=detector.classes,
    )
    return FrameFunction(encoder=encoder, apply=lambda x: detector(x).frames, spec=spec)


@stage_function(ALGORITHM_VERSION)
def score(
    dataset: DatasetUrl,
    out: str,
    settings: ScoreSettings,
    *,
    checkpoint: CheckpointUrl,
    cached_inputs: StageUrl | None = None,
    name: str = "score",
    fresh: bool = False,
) -> Work:
    """Score clips with a detector; returns the URL of the scores.

    They are as the detector gives them; its classes and post-processing are recorded beside.
    """

    def work(stage: Stage) -> dict[str, Any]:
        rows = clips_of(dataset, settings.subsets)
        detector = load_detector(checkpoint)
        arguments = {"checkpoint": checkpoint}
        result = run_frame_job(
            stage,
            dataset,
            rows,
            score_function,
            arguments,
            settings.inference,
            inputs=cached_inputs,
        )
        return {
            **result,
            "classes": list(detector.classes),
            "postprocess": to_json(detector.postprocess),
        }

    identity = replace(settings, inference=settings.inference.of_results())
    return Work(do=work, settings=identity, summary=_summary, working=(RESULTS,))


def export_scores(dataset: str, scores: str, score_format: ScoreFormat) -> int:
    """Write each clip's scores for other programs, as `tsv/ID.tsv` or `npz/ID.npz` beside.

    Args:
        dataset: URL of what was scored.
        scores: URL of the finished stage.
        score_format: as of `score_file`.

    Returns:
        How many files there are.
    """
    frames, classes = open_frames(scores), record_of(scores)["result"]["classes"]
    target = store(scores)
    rows = [row for row in open_dataset(dataset).rows if row.key in frames]
    for row in rows:
        values = frames.read(row.key)
        data = score_file(values, classes, frames.spec.hop_s, row.duration_s, score_format)
        inside = ".." not in PurePosixPath(row.source_id).parts
        name = row.source_id.lstrip("/") if inside else row.key
        target.write(f"{score_format}/{name}.{score_format}", data)
    return len(rows)


def _summary(result: Mapping[str, Any]) -> str:
    clips, frames = counted(result["clips"], "clip"), counted(result["frames"], "frame")
    return f"scored {clips}, {frames},"
