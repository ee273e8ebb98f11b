"""What a network says of held-out clips, and how good that is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.inference.events import events_of
from pipelines.stages.weak_labels.folds import tags_of
from pipelines.training.examples import CropReader
from pipelines.training.validation import ValidationScores
from pmam.metrics.ranking.clip_ranking import ClipRanking, clip_ranking
from pmam.weak_labels.detector import WeakDetector
from pmam.weak_labels.networks import WeakOutput
from shards.index import IndexRow
from shards.loading.examples import Example

BATCH = 24


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a network says of some clips, and what is true of them."""

    rows: list[IndexRow]
    clips: npt.NDArray[np.float32]  # (clips, classes)
    frames: dict[str, npt.NDArray[np.float32]]  # (frames, classes) by key
    classes: tuple[str, ...]
    hop_s: float

    def ranking(self) -> ClipRanking:
        """Average precisions and areas under the curve."""
        return clip_ranking(self.clips, tags_of(self.rows, self.classes), self.classes)

    def events(self) -> ValidationScores | None:
        """Frame scores beside the events; None where a clip's events are not known."""
        if any(row.events is None for row in self.rows):
            return None
        truth = {row.key: events_of(row.events) for row in self.rows}
        return ValidationScores(
            scores=self.frames, truth=truth, classes=self.classes, hop_s=self.hop_s
        )


def inputs_of(model: WeakDetector, examples: Sequence[Example]) -> Tensor:
    """Standardised log-mel `(B, T, mels)` of samples, or of spectrograms that were stored."""
    units = torch.from_numpy(np.stack([example.samples for example in examples]))
    units = units.to(model.front_end.calibration.mean.device)
    if units.ndim == 2:
        return model.front_end.inputs(units)
    standard: Tensor = model.front_end.calibration(units)
    return standard


@torch.inference_mode()
def outputs(
    model: WeakDetector, clips: CropReader, places: Sequence[int]
) -> Iterator[tuple[list[Example], Tensor, WeakOutput]]:
    """Examples with their inputs and what the network says, batch by batch.

    Args:
        model: is put into evaluation mode.
        clips: reads them.
        places: of the clips in the index.
    """
    model.eval()
    read = clips.read(places)
    while examples := list(islice(read, BATCH)):
        inputs = inputs_of(model, examples)
        yield examples, inputs, model.output(inputs)


def held_out(model: WeakDetector, clips: CropReader, places: Sequence[int]) -> HeldOut:
    """The scores of some clips, without what is kept of each cell."""
    rows, found, frames = [], [], {}
    for examples, _, said in outputs(model, clips, places):
        found.append(said.clips.float().cpu().numpy())
        for example, of_clip in zip(examples, said.frames.float().cpu().numpy(), strict=True):
            frames[example.row.key] = of_clip[: clips.span(example).frames].copy()
            rows.append(example.row)
    return HeldOut(
        rows=rows,
        clips=np.concatenate(found),
        frames=frames,
        classes=model.classes,
        hop_s=model.encoder.hop_s,
    )
