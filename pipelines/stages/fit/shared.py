"""What all fits of a stage share: its frames, their moments, and a sample of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pipelines.runtime.workers.remote_progress import Advance, Phase
from pipelines.stages.fit.frame_partition import FramePartition
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.state import Saved
from pmam.clustering.kmeans import SEEDING_FRAMES
from pmam.clustering.pca import Moments, Projection, fit_projection, moments
from pmam.mixture.process_group import ProcessGroup
from shards.frames.frame_set import FrameSet
from shards.io.store import Store

MOMENTS = "moments.safetensors"


@dataclass(kw_only=True)
class Work:
    """As one of the workers sees it; all of them ask for the same, in the same order."""

    name: str  # of the stage
    group: ProcessGroup
    folder: Store
    settings: FitSettings
    training: FramePartition
    held_out: FramePartition  # frames that are not fitted
    encoder: str  # fingerprint of what made the frames
    previous_posteriors: FrameSet | None  # of the prototypes of the previous iteration
    phase: Phase
    # What took a pass over the frames. (A cached_property would hold a lock while all workers
    # wait for each other.)
    _moments: Moments | None = field(default=None, init=False)
    _sample: Tensor | None = field(default=None, init=False)

    @property
    def moments(self) -> Moments:
        """Of all training frames; kept in the folder too."""
        if self._moments is None:
            self._moments = self._take_moments()
        return self._moments

    @property
    def sample(self) -> Tensor:
        """A uniform sample of the training frames `(n, D)`, whatever the number of workers."""
        if self._sample is None:
            self._sample = self._take_sample()
        return self._sample

    def _take_moments(self) -> Moments:
        saved = Saved(self.group, self.folder, MOMENTS)
        found = saved.read()
        if found is None:
            with self.phase(f"{self.name} (PCA, frames)", self.training.count, 0) as advance:
                total = moments_of_all(self.group, _own_moments(self.training, advance))
            count = total.mean.new_tensor(total.count)
            found = saved.write(
                lambda: {"count": count, "mean": total.mean, "scatter": total.scatter}
            )
        return Moments(
            count=round(float(found["count"])), mean=found["mean"], scatter=found["scatter"]
        )

    def _take_sample(self) -> Tensor:
        size = min(self.training.all, max(SEEDING_FRAMES, *self.settings.counts))
        generator = np.random.default_rng(self.settings.seed)
        places = generator.choice(self.training.all, size, replace=False, shuffle=False)
        with self.phase(f"{self.name} (sample, frames)", self.training.count, 0) as advance:
            own = self.training.rows(np.sort(places), advance)
        return self.group.gathered(own)

    def projection(self, pca: int | None) -> Projection | None:
        """To the first principal components of the training frames; None where all are kept."""
        # Embeddings are standardised by their encoder, or principal components already:
        # standardised again, all of these would weigh the same.
        return None if pca is None else fit_projection(self.moments, pca, standardise=False)

    def beside(
        self, projection: Projection | None
    ) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
        """Training frames as the mixture sees them `(n, d)`, with posteriors before `(n, J)`."""
        previous = self.previous_posteriors
        assert previous is not None

        def pairs() -> Iterator[tuple[Tensor, Tensor]]:
            for x, posteriors in self.training.beside(previous):
                yield x if projection is None else projection.apply(x), posteriors

        return pairs


def moments_of_all(group: ProcessGroup, own: Moments) -> Moments:
    """The sum over workers."""
    counts = group.gathered(own.mean.new_tensor([own.count]))
    means, scatters = group.gathered(own.mean[None]), group.gathered(own.scatter[None])
    total = Moments(count=0, mean=own.mean, scatter=own.scatter)
    for count, mean, scatter in zip(counts.tolist(), means, scatters, strict=True):
        total = total + Moments(count=round(count), mean=mean, scatter=scatter)
    return total


def _own_moments(part: FramePartition, advance: Advance) -> Moments:
    if part.count:
        return moments(lambda: part.blocks(advance))
    zeros = torch.zeros(part.width, part.width, dtype=torch.float64, device=part.device)
    return Moments(count=0, mean=zeros[0], scatter=zeros)  # fewer clips than workers
