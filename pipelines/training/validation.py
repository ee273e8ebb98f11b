"""How good a detector is on validation clips while it trains."""

from collections.abc import Sequence
from itertools import islice

import torch

from pipelines.training.examples import Examples, Span
from pmam.events.event import Event
from pmam.metrics.average_precision import macro_frame_ap
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.psds import PSDS1, psds
from pmam.models.detector import Detector
from shards.index import IndexRow

BATCH = 32


@torch.inference_mode()
def validated(model: Detector, clips: Examples, indices: Sequence[int]) -> dict[str, float]:
    """Macro frame average precision and PSDS1 of strongly labelled clips, as they are trained on.

    Longer clips than an example are cropped, always at the same place; the events with them.
    The model is left in evaluation mode. Nothing is drawn, so that training goes on undisturbed.

    Returns:
        `frame_ap` and `psds1`, both 0 to 1; nothing where no clip holds an event.
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
            scores[example.row.key] = frames[: span.frames]
            truth[example.row.key] = events_of(example.row, span, hop_s)
    if not any(truth.values()):
        return {}
    evaluated = EvaluationSet(
        scores=scores,
        hop_s=hop_s,
        ground_truth=truth,
        durations_s={key: len(frames) * hop_s for key, frames in scores.items()},
        classes=model.classes,
    )
    return {
        "frame_ap": float(macro_frame_ap(evaluated).value),
        "psds1": psds(evaluated, PSDS1).value,
    }


def events_of(row: IndexRow, span: Span, hop_s: float) -> list[Event]:
    """The events of a crop, in seconds from where it begins."""
    begin_s, length_s = span.first * hop_s, span.frames * hop_s
    found = []
    for event in row.events or ():
        onset_s = max(event.onset_s - begin_s, 0.0)
        offset_s = min(event.offset_s - begin_s, length_s)
        if onset_s < offset_s:
            found.append(Event(onset_s=onset_s, offset_s=offset_s, label=event.label))
    return found
