"""score: the detector's probabilities for each frame of each clip of some subsets."""

from dataclasses import dataclass, field, replace
from typing import Any

from cluster.storage.filesystems import absolute
from pipelines.inference.frame_job import FrameFunction, InferenceSettings, clips_of, run_frame_job
from pipelines.inference.layers import load_detector
from pipelines.runtime.stage import Stage, fingerprint_of, run_stage
from pipelines.runtime.urls import dataset_fingerprint, read_checkpoint
from shards.frames.reader import FrameSpec

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """Which clips are scored."""

    # Which clips are scored.
    subsets: tuple[str, ...] = ("validation", "test")
    # Windows and batches.
    inference: InferenceSettings = field(default_factory=InferenceSettings)


def score_function(checkpoint: str) -> FrameFunction:
    """The frame probabilities of a detector."""
    detector = load_detector(checkpoint)
    encoder = detector.backbone.encoder
    spec = FrameSpec(
        kind="scores", width=len(detector.classes), dtype="float32", hop_s=encoder.hop_s
    )
    return FrameFunction(encoder=encoder, apply=lambda x: detector(x).frames, spec=spec)


def score(
    dataset_url: str,
    out: str,
    settings: ScoreSettings,
    *,
    checkpoint: str,
    cached_inputs: str | None = None,
    name: str = "score",
    fresh: bool = False,
) -> str:
    """Score clips with a detector; returns the URL of the scores."""
    dataset_url, out, checkpoint = absolute(dataset_url), absolute(out), absolute(checkpoint)
    inputs = {
        "dataset": dataset_fingerprint(dataset_url),
        "checkpoint": read_checkpoint(checkpoint).fingerprint,
    }
    if cached_inputs is not None:
        inputs["cached_inputs"] = fingerprint_of(cached_inputs)

    def work(stage: Stage) -> dict[str, Any]:
        rows = clips_of(dataset_url, settings.subsets)
        classes = load_detector(checkpoint).classes
        arguments = {"checkpoint": checkpoint}
        result = run_frame_job(
            stage,
            dataset_url,
            rows,
            score_function,
            arguments,
            settings.inference,
            inputs=cached_inputs,
        )
        return {**result, "classes": list(classes)}

    counted = replace(settings, inference=settings.inference.of_results())
    run_stage(
        name, out, work, settings=counted, inputs=inputs, version=ALGORITHM_VERSION, fresh=fresh
    )
    return out
