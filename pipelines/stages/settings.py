"""What can be chosen of each stage, without what carries it out: no torch is loaded for it."""

from dataclasses import dataclass, field, replace
from typing import Literal

from pipelines.inference.settings import TRAINING_SUBSETS, CalibrationSettings, InferenceSettings
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.identity import at_defaults
from pipelines.training.settings import TrainSettings
from pmam.augment.settings import AugmentSettings
from pmam.events.settings import PostprocessOverrides, PostprocessSettings
from pmam.models.settings import ContextSettings, DetectorSettings
from pmam.objectives.settings import FinetuneLossSettings, PretextSettings
from shards.soundscapes.scene import SoundscapeSettings


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """How a source becomes shards."""

    # Layout of the source: folder, desed, audioset_strong, tut_rare, esc50 (ESC-10 too),
    # realdesed, mtl or webdataset.
    source: str = "folder"
    # Of the source, as pairs: --options esc10 true (esc50), labels mid (audioset_strong),
    # suffix _16k (desed), snr 20 (mtl), audio flac events json:events (webdataset).
    options: dict[str, str] = field(default_factory=dict)
    # keep leaves the recordings' bytes as they are.
    codec: Literal["keep", "flac", "wav"] = "keep"
    # Resample to this rate; by default recordings keep theirs.
    sample_rate_hz: int | None = None
    # About how large a shard is.
    shard_mb: float = 256.0
    # At a recording that cannot be used: fail, or leave it out and list it.
    on_error: Literal["fail", "skip"] = "fail"
    # Of the dataset.
    name: str = "dataset"
    # Of the recordings.
    licence: str = "unknown"
    # Of the order of clips in shards.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class SoundscapesSettings:
    """Which recordings, how they are split, and how many soundscapes of each subset."""

    # Label table of the recordings (columns filename, category, fold), for ESC-50 and its like;
    # None: the folder of a recording is its class.
    table: str | None = None
    # Only the recordings that ESC-50 marks as ESC-10.
    esc10_only: bool = False
    # Classes that are backgrounds, where both lie in one folder.
    background_classes: tuple[str, ...] = ()
    # Where the source recording and the fold stand in a file's name, as a regular expression.
    name_rule: str | None = None
    # By fold: {"train": ["1", "2"], "validation": ["4"], "test": ["5"]}; empty: by source.
    folds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # By source recording, where there are no folds: shares of the recordings of each class.
    shares: dict[str, float] = field(
        default_factory=lambda: {"train": 0.6, "validation": 0.2, "test": 0.2}
    )
    # A CSV with the columns filename and split, which rules over both.
    split_csv: str | None = None
    counts: dict[str, int] = field(
        default_factory=lambda: {
            "strong": 60,
            "weak": 150,
            "unlabeled": 1200,
            "validation": 150,
            "test": 300,
        }
    )
    scene: SoundscapeSettings = field(default_factory=SoundscapeSettings)
    codec: Literal["flac", "wav"] = "flac"
    # Write a packed dataset instead of audio files and tables.
    shards: bool = False
    clips_per_part: int = 100


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """Which frames are kept of which clips."""

    # input: the encoder's calibrated inputs; encoder: its frames; context, context1, ...
    layer: str = "input"
    # One random frame of so many; 1 keeps all, so that later stages can read them as a cache.
    keep_every: int = 1
    # Which clips are embedded; with none, the encoder is calibrated and that is all.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # How the encoder's standardisation is fitted.
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    # Windows and batches.
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    # Of the choice of frames.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """Which clips are labelled, and with which layer's features."""

    # The layer that the prototypes were fitted to.
    layer: str = "input"
    # Which clips are labelled.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # Windows and batches.
    inference: InferenceSettings = field(default_factory=InferenceSettings)


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """The context network, what is masked, and how it is trained."""

    # Size of the context network.
    context: ContextSettings = field(default_factory=ContextSettings)
    # Masking and loss.
    pretext: PretextSettings = field(default_factory=PretextSettings)
    # Steps, batches and learning rates.
    training: TrainSettings = field(default_factory=TrainSettings)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """The losses, the teacher, and how the detector is trained."""

    # Used where the start is an encoder; a pretrained model brings its own.
    context: ContextSettings = field(default_factory=ContextSettings)
    # Temperature and sliding windows of the detector.
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    # Weights of the losses.
    losses: FinetuneLossSettings = field(default_factory=FinetuneLossSettings)
    # What is done to the training clips; differently for student and teacher.
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    # Place events in frames as PMAM's code does: onsets rounded, offsets rounded up.
    published_borders: bool = False
    # Decay of the teacher's moving average, once it has run a while.
    ema_limit: float = 0.99
    # Whether it averages batch statistics too; PMAM's code lets the teacher gather its own.
    ema_statistics: bool = True
    # Post-processing of the detector, as far as it is not chosen on validation clips
    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    # Windows in seconds to choose from on validation clips, besides postprocess.median_s: that of
    # the highest PSDS1. None keeps postprocess.median_s
    median_choices_s: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
    # Choose the threshold of each class on validation clips: that of the highest event-based F1
    choose_thresholds: bool = True
    # Steps from one look at the validation clips to the next; 0: at the end alone.
    validate_every: int = 100
    # Steps, batches and learning rates.
    training: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.ema_limit <= 1 or self.validate_every < 0:
            raise PipelineError(
                f"ema_limit {self.ema_limit}, validate_every {self.validate_every}: expected a "
                "decay between 0 and 1, and 0 or more steps"
            )
        for width_s in self.median_choices_s:
            replace(self.postprocess, median_s=width_s)  # says what is wrong with it

    @property
    def identity(self) -> "FinetuneSettings":
        """The same without what only says how it is computed and watched."""
        return at_defaults(replace(self, training=self.training.identity), "validate_every")


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """Which clips are scored."""

    # Which clips are scored.
    subsets: tuple[str, ...] = ("validation", "test")
    # Windows and batches.
    inference: InferenceSettings = field(default_factory=InferenceSettings)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(PostprocessOverrides):
    """Which clips are evaluated, and what is done to their scores other than by the detector."""

    # Which clips are evaluated: strongly labelled ones.
    subsets: tuple[str, ...] = ("test",)
    # Also draw the values per class, and some clips.
    pictures: bool = True


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """Which segments stand for a prototype."""

    # Length of a segment.
    segment_s: float = 1.0
    # Segments per prototype: those with its greatest mean posterior.
    segments: int = 20
    # Of them from one clip.
    per_clip: int = 2

    def __post_init__(self) -> None:
        if not self.segment_s > 0 or self.segments < 1 or self.per_clip < 1:
            raise PipelineError(
                f"segments of {self.segment_s} s, {self.segments} per prototype, {self.per_clip} "
                "per clip: expected a positive length, and at least one of each"
            )


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """What is imported for which clips."""

    # Clips that pretraining may use; those without a table are left out of it, and counted.
    subsets: tuple[str, ...] = ("strong", "weak", "unlabeled")


@dataclass(frozen=True, kw_only=True)
class NewDataset:
    """What every reindexed dataset needs."""

    # Of the new dataset; by default that of the old one.
    name: str | None = None
    # Name shards relative to the new dataset, for folders that move together.
    relative: bool = False


@dataclass(frozen=True, kw_only=True)
class ForeignDataset(NewDataset):
    """What an index over foreign shards needs besides the rule for their members."""

    # Of the recordings.
    licence: str = "unknown"
    # Write plain copies of gzipped tars into the new dataset: gzip has no byte ranges.
    unpack: bool = False
