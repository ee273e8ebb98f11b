"""What can be chosen of a training on weak labels; no torch is loaded for it."""

import math
from dataclasses import dataclass, field, fields

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.identity import at_defaults
from pipelines.training.settings import TrainSettings
from pmam.events.settings import PostprocessSettings
from pmam.training.settings import OptimizerSettings, Plateau, Precision
from pmam.weak_labels.settings import WeakNetworkSettings

# What the learning rate follows, and what the best network is chosen by.
METRIC = "ap_micro"


@dataclass(frozen=True, kw_only=True)
class WeakTrainSettings(WeakNetworkSettings):
    """The network, its loss and its training; the defaults are those of the published code."""

    # Weight of the reconstruction's loss beside that of the clip's classes, for mtl.
    alpha: float = 0.001
    # Times that every training clip is seen.
    epochs: int = 50
    # Clips of a batch, over all workers.
    batch_size: int = 24
    # Learning rate of Adam at first.
    lr: float = 1e-3
    # Weight decay of AdamW.
    weight_decay: float = 0.0
    # Epochs in a row without a higher micro average precision before the rate falls to a tenth.
    patience: int = 3
    # Signal-to-noise ratio of the clips that are taken, in decibels; by default all of them.
    snr: float | None = None
    # Subset of the clips that are taken; their fold says where they belong.
    subset: str = "weak"
    # Post-processing of the detector, as far as it is not chosen on the held-out fold.
    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    # Number format of convolutions; weights and losses stay in float32.
    precision: Precision = "float32"
    # Number of parts that a worker's batch is computed in, one after the other, to save memory.
    accumulate: int = 1
    # Size of a local cache of clips, for datasets in an object store; 0 for none.
    cache_gb: float = 0.0
    # Number of Ray Train workers, one for each GPU; 0 trains in this process.
    workers: int = 0
    # Steps between two checkpoints.
    checkpoint_every: int = 50
    # Random seed for weights and the order of clips.
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha < math.inf:
            raise PipelineError(
                f"alpha {self.alpha}: expected 0 or more, the weight of the reconstruction"
            )
        if self.epochs < 1 or self.batch_size < 1 or self.patience < 0:
            raise PipelineError(
                f"epochs {self.epochs}, batch_size {self.batch_size}, patience {self.patience}: "
                "expected at least 1, 1 and 0"
            )
        if not 0 < self.lr < math.inf or not 0 <= self.weight_decay < math.inf:
            raise PipelineError(
                f"lr {self.lr}, weight_decay {self.weight_decay}: expected a number above 0, and "
                "0 or more"
            )

    @property
    def network(self) -> WeakNetworkSettings:
        """What shapes the network, by itself."""
        names = [each.name for each in fields(WeakNetworkSettings)]
        return WeakNetworkSettings(**{name: getattr(self, name) for name in names})

    @property
    def plateau(self) -> Plateau:
        """How the learning rate falls."""
        return Plateau(metric=f"validation/{METRIC}", patience=self.patience)

    @property
    def identity(self) -> "WeakTrainSettings":
        """The same without what only says how it is computed."""
        how = ("accumulate", "cache_gb", "workers", "checkpoint_every")
        return at_defaults(self, *how)

    def steps(self, clips: int) -> int:
        """Optimizer steps in which so many training clips are seen `epochs` times."""
        return -(-self.epochs * clips // self.batch_size)

    def training(self, clips: int, crop_s: float) -> TrainSettings:
        """What the training loop is told."""
        optimizer = OptimizerSettings(
            steps=self.steps(clips),
            body_lr=self.lr,
            head_lr=self.lr,
            weight_decay=self.weight_decay,
            warm_up_steps=0,
            flat_share=1.0,
            clip_norm=math.inf,  # published: none
        )
        return TrainSettings(
            optimizer=optimizer,
            crop_s=crop_s,
            batch={self.subset: self.batch_size},
            accumulate=self.accumulate,
            precision=self.precision,
            cache_gb=self.cache_gb,
            workers=self.workers,
            checkpoint_every=self.checkpoint_every,
            seed=self.seed,
        )
