"""How good a detector is on validation clips while it trains."""

from collections.abc import Sequence

import torch

from pipelines.training.examples import Example, ExampleReader
from pmam.events.event import Event
from pmam.metrics.average_precision import macro_frame_ap
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.psds import PSDS1, psds
from pmam.models.detector import Detector
from shards.index import IndexRow

BATCH = 32


@torch.inference_mode()
def validated(model: Detector, reader: ExampleReader, rows: Sequence[IndexRow]) -> dict[str, float]:
    """Macro frame average precision and PSDS1 of strongly labelled clips, as they are trained on.

    Longer clips than the reader's are cropped, always at the same place; the events with them.
    The model is left in evaluation mode. Nothing is drawn, so that training goes on undisturbed.

    Returns:
        `frame_ap` and `psds1`, both 0 to 1; nothing where no clip holds an event.
    """
    model.eval()
    scores, truth = {}, {}
    for start in range(0, len(rows), BATCH):
        examples = [reader.read(row, 0) for row in rows[start : start + BATCH]]
        inputs = reader.inputs(examples)
        said = model(inputs, reader.padding(examples).to(inputs.device)).frames.cpu().numpy()
        for example, frames in zip(examples, said, strict=True):
            scores[example.row.key] = frames[: example.frames]
            truth[example.row.key] = events_of(example, reader.encoder.hop_s)
    if not any(truth.values()):
        return {}
    hop_s = reader.encoder.hop_s
    clips = EvaluationSet(
        scores=scores,
        hop_s=hop_s,
        ground_truth=truth,
        durations_s={key: len(frames) * hop_s for key, frames in scores.items()},
        classes=model.classes,
    )
    return {"frame_ap": float(macro_frame_ap(clips).value), "psds1": psds(clips, PSDS1).value}


def events_of(example: Example, hop_s: float) -> list[Event]:
    """The events of a crop, in seconds from where it begins."""
    begin_s, length_s = example.first_frame * hop_s, example.frames * hop_s
    found = []
    for event in example.row.events or ():
        onset_s = max(event.onset_s - begin_s, 0.0)
        offset_s = min(event.offset_s - begin_s, length_s)
        if onset_s < offset_s:
            found.append(Event(onset_s=onset_s, offset_s=offset_s, label=event.label))
    return found
