"""What can be chosen of each stage, without what carries it out: no torch is loaded for it."""

from dataclasses import dataclass, field, replace
from typing import Literal

from pipelines.inference.settings import CalibrationSettings, InferenceSettings
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.identity import at_defaults
from pipelines.training.settings import TrainSettings
from pmam.augment.settings import AugmentSettings
from pmam.events.settings import PostprocessSettings
from pmam.metrics.settings import ChoiceMetric
from pmam.models.settings import ContextSettings, DetectorSettings
from pmam.objectives.settings import AuxiliarySettings, FinetuneLossSettings, PretextSettings
from shards.audio.channel_choice import ChannelChoice
from shards.clip import TRAINING_SUBSETS
from shards.soundscapes.scene import SoundscapeSettings


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """How a source becomes shards."""

    # Layout of the source: folder, desed, audioset_strong, tut_rare, tau_urban, esc50 (ESC-10
    # too), urbansound8k, fsdkaggle2018, realdesed, mtl or webdataset.
    source: str = "folder"
    # Options of that layout, as pairs: esc10 true (esc50), labels mid (audioset_strong),
    # suffix _16k (desed), snr 20 (mtl), device a (tau_urban), verified
    # true (fsdkaggle2018), audio flac events json:events (webdataset).
    options: dict[str, str] = field(default_factory=dict)
    # Audio format in the shards; keep copies each recording's bytes unchanged.
    codec: Literal["keep", "flac", "wav"] = "keep"
    # What of several channels is stored: all, of which readers take the mean; or, encoded anew, the
    # left or right one, the loudest, or each as a clip of its own, called NAME-left, NAME-right, or
    # NAME-ch1, NAME-ch2 ... of more than two, with the labels of NAME.
    channel: ChannelChoice = "mean"
    # Sample rate to resample to; by default each recording keeps its own.
    sample_rate_hz: int | None = None
    # Approximate size of a shard.
    shard_mb: float = 256.0
    # What to do at an unusable recording: fail, or leave it out and list it.
    on_error: Literal["fail", "skip"] = "fail"
    # Name of the dataset.
    name: str = "dataset"
    # Licence of the recordings.
    licence: str = "unknown"
    # Random seed for the order of clips in shards.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class SoundscapesSettings:
    """Which recordings, how they are split, and how many soundscapes of each subset."""

    # Label table of the recordings (CSV with the columns filename, category, fold, as of ESC-50);
    # without one, the folder of a recording is its class.
    table: str | None = None
    # Use only the recordings that ESC-50's table marks as ESC-10.
    esc10_only: bool = False
    # Published layout of the event recordings, such as fsdkaggle2018, as of `pmam pack`; by
    # default class folders, or the table.
    source: str | None = None
    # Options of that layout, as pairs, such as verified true.
    source_options: dict[str, str] = field(default_factory=dict)
    # Published layout of the backgrounds, such as tau_urban; by default a folder of audio files.
    background_source: str | None = None
    # Options of that layout, as pairs, such as device a.
    background_source_options: dict[str, str] = field(default_factory=dict)
    # Classes to use as backgrounds, where events and backgrounds lie in one folder.
    background_classes: tuple[str, ...] = ()
    # Regular expression for file names, with groups for the source recording and the fold.
    name_rule: str | None = None
    # Folds of each split, such as train 1,2 validation 4 test 5; by default the recordings are
    # split by --shares.
    folds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Share of each class's source recordings that each split gets, where no folds are given.
    shares: dict[str, float] = field(
        default_factory=lambda: {"train": 0.6, "validation": 0.2, "test": 0.2}
    )
    # CSV file with the columns filename and split; it overrides folds and shares.
    split_csv: str | None = None
    # Number of soundscapes of each subset.
    counts: dict[str, int] = field(
        default_factory=lambda: {
            "strong": 60,
            "weak": 150,
            "unlabeled": 1200,
            "validation": 150,
            "test": 300,
        }
    )
    # Folds of a cross-validation, each with recordings of its own: soundscapes are then of the
    # subset weak, with fold and events; 0 makes subsets instead.
    cross_folds: int = 0
    # Signal-to-noise ratios in decibels that each soundscape of a cross-validation is mixed at,
    # one clip for each; by default one, drawn for each event.
    snrs_db: tuple[float, ...] = ()
    # Regular expression for file names of backgrounds; by default `name_rule`.
    background_name_rule: str | None = None
    # How each soundscape is drawn.
    scene: SoundscapeSettings = field(default_factory=SoundscapeSettings)
    # What to do at an unusable recording: fail, or leave it out and list it.
    on_error: Literal["fail", "skip"] = "fail"
    # Audio format of the soundscapes.
    codec: Literal["flac", "wav"] = "flac"
    # Write a packed dataset instead of audio files and tables; `pmam run` then packs nothing more.
    shards: bool = False
    # Number of soundscapes in a shard, which a worker renders at a time.
    clips_per_part: int = 100
    # Name of the packed dataset.
    name: str = "soundscapes"
    # Licence of the recordings, and so of the packed dataset.
    licence: str = "as the recordings"

    def __post_init__(self) -> None:
        if self.source is not None and (self.table is not None or self.esc10_only):
            raise PipelineError(
                f"source {self.source} and table {self.table}: expected one of them; a source "
                "reads its own tables, and --source-options esc10 true takes ESC-10"
            )
        for name in ("source", "background_source"):
            if getattr(self, name) is None and getattr(self, f"{name}_options"):
                raise PipelineError(f"{name}_options are given and no {name}: expected both")
        if self.cross_folds == 0 and not self.snrs_db:
            return
        if self.cross_folds < 2 or not self.snrs_db or set(self.counts) != {"weak"}:
            raise PipelineError(
                f"cross_folds {self.cross_folds}, snrs_db {list(self.snrs_db)}, counts "
                f"{self.counts}: expected two folds or more, one ratio or more, and a count of "
                "weak alone: --preset mtl sets all of them"
            )


# Soundscapes that have a name: what is given on the command line goes over it.
SOUNDSCAPE_PRESETS: dict[str, SoundscapesSettings] = {
    # Clips as of the MTL papers (arXiv 2008.07085): three events in 10 s, none over another, over
    # scenes, 8000 mixtures at each of three ratios, four folds. Their mixing code is not public.
    "mtl": SoundscapesSettings(
        cross_folds=4,
        snrs_db=(0.0, 10.0, 20.0),
        counts={"weak": 8000},
        scene=SoundscapeSettings(
            events_min=3,
            events_max=3,
            event_max_s=2.0,  # so that a third one always finds room
            overlap=False,
            white_noise_share=0.0,
        ),
    ),
}


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """Which frames are kept of which clips."""

    # Layer whose frames are stored: input (the encoder's calibrated inputs), encoder, or of a
    # pretrained model context, context1, ...
    layer: str = "input"
    # Sampling of frames: one of so many is kept, at random; 1 keeps all, as the option
    # --cached-inputs of pretrain and finetune needs.
    keep_every: int = 1
    # Subsets to embed; with none, the encoder is only calibrated.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # Clips by which the encoder's inputs are standardised.
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    # Windows, batches and workers.
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    # Random seed for choosing frames.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """Which clips are labelled, and with which layer's features."""

    # Layer that the prototypes were fitted to: what --layer of `pmam embed` was.
    layer: str = "input"
    # Subsets to label.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # Windows, batches and workers.
    inference: InferenceSettings = field(default_factory=InferenceSettings)


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """The context network, what is masked, and how it is trained."""

    # Kind and size of the context network.
    context: ContextSettings = field(default_factory=ContextSettings)
    # Masking, augmentation and loss.
    pretext: PretextSettings = field(default_factory=PretextSettings)
    # Steps, batches and learning rates.
    training: TrainSettings = field(default_factory=TrainSettings)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """The losses, the teacher, and how the detector is trained."""

    # Context network of a detector that starts from an encoder; a pretrained model has its own.
    context: ContextSettings = field(default_factory=ContextSettings)
    # Output temperature and sliding windows of the detector.
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    # Weights of the losses.
    losses: FinetuneLossSettings = field(default_factory=FinetuneLossSettings)
    # Augmentation of the training clips, drawn anew for student and teacher.
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    # Prediction of prototypes on unlabelled clips as an auxiliary loss; off by default.
    auxiliary: AuxiliarySettings = field(default_factory=AuxiliarySettings)
    # Use the rounding of PMAM's published code for event borders: onsets to the nearest frame,
    # offsets up.
    published_borders: bool = False
    # Highest decay of the teacher's moving average (EMA), reached after some steps.
    ema_limit: float = 0.99
    # Average batch-norm statistics into the teacher too; PMAM's code lets it gather its own.
    ema_statistics: bool = True
    # Post-processing of the detector, as far as it is not chosen on validation clips.
    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    # Windows in seconds to choose from on validation clips, besides postprocess.median_s.
    median_choices_s: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
    # Metric on validation clips by which windows and boxes are chosen.
    choose_by: ChoiceMetric = "psds1"
    # Whether each class gets a window, or boxes, of its own, as arXiv 2406.04212 chooses boxes.
    choose_by_class: bool = False
    # Whether boxes are chosen from the published grid (arXiv 2406.04212), where postprocess.method
    # is boxes.
    choose_boxes: bool = False
    # Whether each class's threshold is chosen on validation clips: the one with the highest
    # event-based F1.
    choose_thresholds: bool = True
    # Steps between two validations; 0 validates only at the end.
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

    # Subsets to score.
    subsets: tuple[str, ...] = ("validation", "test")
    # Windows, batches and workers.
    inference: InferenceSettings = field(default_factory=InferenceSettings)


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """What is imported for which clips."""

    # Subsets for pretraining; their clips without a table are left out, and counted.
    subsets: tuple[str, ...] = ("strong", "weak", "unlabeled")
