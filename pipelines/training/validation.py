"""How good a detector is on validation clips, and which post-processing suits it there."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from pipelines.inference.events import events_within
from pipelines.training.examples import CropReader
from pmam.events.event import Event
from pmam.events.settings import PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic.psds import PSDS1, psds
from pmam.metrics.postprocess_choice import postprocessed
from pmam.metrics.ranking.average_precision import macro_frame_ap
from pmam.models.detector import FrameDetector

BATCH = 32


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """What a detector gives for validation clips, before post-processing, beside the truth."""

    scores: dict[str, npt.NDArray[np.float32]]  # (frames, classes) by clip
    truth: dict[str, list[Event]]
    classes: tuple[str, ...]
    hop_s: float

    @property
    def has_events(self) -> bool:
        """Whether any clip holds an event: without one nothing can be measured."""
        return any(self.truth.values())

    def processed(self, settings: PostprocessSettings) -> EvaluationSet:
        """What metrics are computed from."""
        return postprocessed(
            self.scores.items(),
            self.hop_s,
            self.truth,
            {key: len(frames) * self.hop_s for key, frames in self.scores.items()},
            self.classes,
            settings,
        )

    def numbers(self, settings: PostprocessSettings) -> dict[str, float]:
        """`frame_ap` and `psds1`, both 0 to 1; nothing where no clip holds an event."""
        if not self.has_events:
            return {}
        clips = self.processed(settings)
        return {"frame_ap": float(macro_frame_ap(clips).value), "psds1": psds(clips, PSDS1).value}


@torch.inference_mode()
def validation_scores(
    model: FrameDetector, clips: CropReader, indices: Sequence[int]
) -> ValidationScores:
    """A detector's scores of strongly labelled clips, as they are trained on.

    Longer clips than an example are cropped, always at the same place; the events with them.
    The model is left in evaluation mode. Nothing is drawn, so that training goes on undisturbed.
    """
    model.eval()
    scores, truth = {}, {}
    hop_s = clips.encoder.hop_s
    read = clips.read(indices)
    while examples := list(islice(read, BATCH)):
        inputs = clips.inputs(examples)
        padding = clips.padding(examples).to(inputs.device)
        predicted = model(inputs, padding).frames.cpu().numpy()
        for example, frames in zip(examples, predicted, strict=True):
            span = clips.span(example)
            begin_s, length_s = span.first * hop_s, span.frames * hop_s
            scores[example.row.key] = frames[: span.frames]
            truth[example.row.key] = events_within(example.row.events, begin_s, length_s)
    return ValidationScores(scores=scores, truth=truth, classes=model.classes, hop_s=hop_s)
