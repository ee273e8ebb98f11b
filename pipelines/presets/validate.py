"""Settings of a run that cannot work, found before hours are spent on the stages in between."""

from collections.abc import Iterable, Sequence
from statistics import median

from pipelines.presets.settings import RunSettings
from pipelines.presets.word_labels import check_words
from pipelines.runtime.errors import PipelineError
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.settings import TrainSettings
from pmam.augment.settings import AugmentSettings
from pmam.encoders.base import FrameEncoder
from pmam.models.backbone import Backbone
from pmam.models.settings import ModelSettings
from pmam.training.parameter_groups import ParameterGroup, groups_of
from pmam.training.settings import OptimizerSettings
from shards.clip import TRAINING_SUBSETS
from shards.index import IndexRow

SHORTER_S = 0.1  # clips of 9.95 s are cut from ten seconds, too


def check_run(settings: RunSettings) -> None:
    """Refuse settings that do not fit the encoder, or each other.

    Raises:
        PipelineError: one line that names the setting, what it is and what it may be.
    """
    check_words(settings)
    context = settings.pretrain.context
    backbone = Backbone(ModelSettings(encoder=settings.encoder, context=context))
    if settings.pretrain.pretext.lora.rank:
        backbone.encoder.adapt(settings.pretrain.pretext.lora)
    encoder = backbone.encoder
    if settings.iterations > 0:
        _check_layers(settings, backbone)
        encoder.check_length(settings.pretrain.training.crop_s, "pretrain.training.crop_s")
        _check_augmentation(settings.pretrain.pretext.augment, encoder, "pretrain.pretext.augment")
        _check_learning_rates(
            settings.pretrain.training.optimizer, backbone, "pretrain", heads_alone=False
        )
        try:
            settings.pretrain.pretext.mask.check(settings.pretrain.training.crop_s, encoder.hop_s)
        except ValueError as error:
            raise PipelineError(f"pretrain.pretext.{error}") from error
    for stage in ("embed", "label", "score"):
        length_s = getattr(settings, stage).inference.window_s
        encoder.check_length(length_s, f"{stage}.inference.window_s")
    tunings = {"finetune_first": settings.finetune_first, "finetune": settings.finetune}
    for name, tuning in tunings.items():
        if tuning is not None:
            _check_tuning(settings, tuning, encoder, name)
            heads_alone = tuning.losses.trained == "heads"
            _check_learning_rates(
                tuning.training.optimizer, backbone, name, heads_alone=heads_alone
            )


def check_classes(settings: RunSettings, classes: Sequence[str]) -> None:
    """Refuse settings of single classes that the dataset does not have, before any training.

    Raises:
        PipelineError: one line that names the setting, and the classes there are.
    """
    tunings = {"finetune_first": settings.finetune_first, "finetune": settings.finetune}
    for name, tuning in tunings.items():
        if tuning is not None:
            for place, postprocess in (
                (f"{name}.postprocess", tuning.postprocess),
                ("evaluate", settings.evaluate.applied(tuning.postprocess)),
            ):
                try:
                    postprocess.check(classes)
                except ValueError as error:
                    raise PipelineError(f"{place}: {error}") from error


def long_crops(settings: RunSettings, rows: Iterable[IndexRow]) -> list[str]:
    """What is told of trainings most of whose clips are shorter than their crops."""
    lengths = [row.duration_s for row in rows if row.subset in TRAINING_SUBSETS]
    trainings: dict[str, TrainSettings] = {}
    if settings.iterations > 0:
        trainings["pretrain"] = settings.pretrain.training
    if settings.finetune_first is not None:
        trainings["finetune_first"] = settings.finetune_first.training
    trainings["finetune"] = settings.finetune.training
    notes = []
    for name, training in trainings.items():
        short = sum(length < training.crop_s - SHORTER_S for length in lengths)
        if 2 * short > len(lengths):
            notes.append(
                f"{short} of {len(lengths)} training clips are shorter than the crops of "
                f"{training.crop_s:g} s and get silence behind them; the median is "
                f"{median(lengths):.1f} s: --{name}.training.crop_s may be that, to save time"
            )
    return notes


def _check_layers(settings: RunSettings, backbone: Backbone) -> None:
    encoder = backbone.encoder
    first = ("input", *encoder.published_parts)
    if settings.embed.layer not in first:
        raise PipelineError(
            f"embed.layer {settings.embed.layer!r}: the encoder {settings.encoder.name} has "
            f"{', '.join(first)} before it is trained"
        )
    if settings.iterations > 1:
        try:
            backbone.depth_of(settings.later_layer)
        except ValueError as error:
            raise PipelineError(f"later_layer: {error}") from error


def _check_tuning(
    settings: RunSettings, tuning: FinetuneSettings, encoder: FrameEncoder, name: str
) -> None:
    encoder.check_length(tuning.training.crop_s, f"{name}.training.crop_s")
    _check_augmentation(tuning.augment, encoder, f"{name}.augment")
    for sliding in (tuning.detector.sliding, tuning.detector.teacher_sliding):
        try:
            encoder.check_sliding(sliding)
        except ValueError as error:
            raise PipelineError(f"{name}.detector: {error}") from error
    _check_auxiliary(tuning, encoder, name, settings.iterations)
    if settings.iterations > 0 and tuning.context != settings.pretrain.context:
        raise PipelineError(
            f"{name}.context {tuning.context}: expected that of pretrain.context, "
            f"{settings.pretrain.context}: fine-tuning goes on with the pretrained network"
        )


def _check_auxiliary(
    tuning: FinetuneSettings, encoder: FrameEncoder, name: str, iterations: int
) -> None:
    auxiliary, batch = tuning.auxiliary, tuning.training.batch
    if auxiliary.weight == 0 or not iterations:
        return
    try:
        auxiliary.mask.check(tuning.training.crop_s, encoder.hop_s)
    except ValueError as error:
        raise PipelineError(f"{name}.auxiliary.{error}") from error
    if not batch.get("unlabeled"):
        told = ", ".join(f"{count} {subset}" for subset, count in batch.items())
        raise PipelineError(
            f"{name}.auxiliary.weight {auxiliary.weight:g} with a batch of {told}: prototypes are "
            f"predicted on unlabelled clips; set {name}.training.batch.unlabeled, or the weight "
            "to 0"
        )


def _check_learning_rates(
    optimizer: OptimizerSettings, backbone: Backbone, name: str, *, heads_alone: bool
) -> None:
    rates = optimizer.groups
    trained: set[ParameterGroup] = {"head"}
    if not heads_alone:
        trained |= set(groups_of(backbone, "backbone.").values())
    if rates.set and not any(rates.rate(group) for group in trained):
        raise PipelineError(
            f"{name}.training.optimizer.groups {rates}: of what is trained nothing has a learning "
            f"rate; set that of {' or '.join(sorted(trained))}"
        )


def _check_augmentation(augment: AugmentSettings, encoder: FrameEncoder, name: str) -> None:
    if augment.needs_mel and encoder.log_mel_units() is None:
        raise PipelineError(
            f"{name}: filter_db, distortion and frequency_mask_mels need an encoder of log-mel "
            f"inputs, which {encoder.settings.name} is not; set them to 0"
        )
