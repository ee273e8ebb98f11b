"""Posteriors of prototypes as targets: those of a stage, checked against a backbone."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from pipelines.inference.frame_job import open_frames
from pipelines.runtime.errors import PipelineError
from pipelines.training.examples import CropReader
from pmam.models.backbone import Backbone
from pmam.objectives.masked_prediction import PretextBatch
from shards.loading.examples import Example


class PrototypeTargets:
    """What is predicted of clips that have posteriors.

    Args:
        url: of the posteriors.
        prototypes: URL of the fit that they are of.
        count: of these prototypes.
        backbone: what predicts.

    Raises:
        PipelineError: posteriors of other prototypes, or at another hop than the backbone's.
    """

    def __init__(self, url: str, prototypes: str, count: int, backbone: Backbone) -> None:
        self.url, self.frames = url, open_frames(url)
        told, hop_s = self.frames.spec, backbone.encoder.hop_s
        if told.width != count or not math.isclose(told.hop_s, hop_s, rel_tol=1e-3):
            raise PipelineError(
                f"{url}: posteriors of {told.width} prototypes every {told.hop_s:g} s; expected "
                f"those of the {count} in {prototypes} every {hop_s:g} s, the hop of the encoder"
            )

    def batch(self, clips: Sequence[Example], examples: CropReader) -> PretextBatch:
        """Inputs and posteriors of some clips.

        Raises:
            PipelineError: a clip has no posteriors.
        """
        for clip in clips:
            if clip.row.key not in self.frames:
                raise PipelineError(
                    f"{self.url}: no posteriors of {clip.row.source_id} ({clip.row.subset}), which "
                    "is in a batch; label that subset too (`pmam label --subsets`)"
                )
        targets = [examples.frame_targets(clip, self.frames.read(clip.row.key)) for clip in clips]
        inputs = examples.inputs(clips)
        return PretextBatch(
            inputs=inputs,
            posteriors=torch.from_numpy(np.stack(targets)).to(inputs.device),
            padding=examples.padding(clips).to(inputs.device),
        )
