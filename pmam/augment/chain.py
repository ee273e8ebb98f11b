"""The augmentations in their order: first what moves labels, then what only colours the sound."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pmam.augment.filter_augment import FilterDraws, draw_filter, filter_gain
from pmam.augment.frequency import DistortionDraws, distort, draw_distortion, frequency_mask
from pmam.augment.mixup import blend, draw_mix, hard_labels, soft_labels
from pmam.augment.noise import NoiseDraws, add_noise, draw_noise
from pmam.augment.settings import AugmentSettings
from pmam.augment.time_shift import draw_shifts, draw_spans, frame_shift, pooled_shifts, time_mask
from pmam.errors import InputError
from pmam.training.clip_draws import Random, randn, shared


@dataclass(frozen=True, kw_only=True)
class InputBatch:
    """A batch of inputs with the targets that follow them."""

    inputs: Tensor  # (B, input frames, channels), calibrated
    padding: Tensor  # (B, T), true on frames that hold no audio; they are the last ones
    frames: Tensor  # (B, T, C), targets of frames
    clips: Tensor | None  # (B, C), targets of clips
    kind: Tensor  # (B,), only clips of one kind are mixed; those of a negative kind never


@dataclass(frozen=True, kw_only=True)
class InputScale:
    """What an encoder's inputs mean."""

    hop_s: float  # between frames of the inputs
    inputs_per_frame: int  # input frames in a frame of the targets
    # Natural logarithms of power per unit of each channel, `(channels,)`, where the inputs are
    # log-mel up to a scale and an offset of each channel; None where they are something else.
    nepers: Tensor | None = None
    # The input, `(channels,)`, at which all channels have the same power; 0 is the mean otherwise.
    level: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class ColourDraws:
    """The random numbers of what leaves labels alone; None for what is off."""

    distortion: DistortionDraws | None
    filter: FilterDraws | None
    masked_mels: Tensor | None  # (B, 2)
    noise: NoiseDraws | None
    input_noise: Tensor | None = None  # (B, T, channels), standard normal


def move(
    batch: InputBatch, settings: AugmentSettings, scale: InputScale, generator: Random
) -> InputBatch:
    """Frame shift, mixup and time mask; the targets follow."""
    clips, unit = len(batch.inputs), scale.inputs_per_frame
    if settings.frame_shift_s > 0:
        shifts = draw_shifts(clips, settings.frame_shift_s / scale.hop_s, unit, generator)
        held = (~batch.padding).sum(dim=1)
        held_inputs = (held * unit).clamp_max(batch.inputs.shape[1])
        batch = replace(
            batch,
            inputs=frame_shift(batch.inputs, shifts, held_inputs),
            frames=frame_shift(batch.frames, pooled_shifts(shifts, unit), held),
        )
    if settings.mixup_share > 0:
        mix = draw_mix(batch.kind, settings.mixup_beta, settings.mixup_share, generator)
        labels = soft_labels if settings.mixup_labels == "soft" else hard_labels
        batch = replace(
            batch,
            inputs=blend(batch.inputs, mix),
            padding=batch.padding & batch.padding[mix.partner.to(batch.padding.device)],
            frames=labels(batch.frames, mix),
            clips=None if batch.clips is None else labels(batch.clips, mix),
        )
    if settings.time_mask_s > 0:
        frames = batch.frames.shape[1]
        most = round(settings.time_mask_s / (scale.hop_s * unit))
        spans = draw_spans(clips, frames, most, generator)
        batch = replace(
            batch,
            inputs=time_mask(batch.inputs, spans * unit),
            frames=time_mask(batch.frames, spans),
        )
    return batch


def draw_colour(shape: torch.Size, settings: AugmentSettings, generator: Random) -> ColourDraws:
    """Fresh random numbers for inputs of a shape `(B, T, channels)`."""
    clips, _, channels = shape
    distortion = masked_mels = None
    if settings.distortion > 0:
        alike = settings.distortion_per == "batch"
        drawn_by = shared(generator) if alike else generator
        distortion = draw_distortion(1 if alike else clips, settings.distortion, drawn_by)
    drawn_filter = draw_filter(clips, channels, settings, generator) if settings.filters else None
    if settings.frequency_mask_mels > 0:
        masked_mels = draw_spans(clips, channels, settings.frequency_mask_mels, generator)
    noise = None
    if settings.noise_snr_db is not None:
        noise = draw_noise(shape, settings.noise_snr_db, generator)
    input_noise = randn(*shape, random=generator) if settings.input_noise > 0 else None
    return ColourDraws(
        distortion=distortion,
        filter=drawn_filter,
        masked_mels=masked_mels,
        noise=noise,
        input_noise=input_noise,
    )


def colour(
    inputs: Tensor, draws: ColourDraws, settings: AugmentSettings, scale: InputScale
) -> Tensor:
    """Distortion, filter, frequency mask and noise of `inputs (B, T, channels)`."""
    if settings.needs_mel:
        if scale.nepers is None:
            raise InputError(
                "filter_db, distortion and frequency_mask_mels need log-mel inputs, which this "
                "encoder does not take: set them to 0"
            )
        nepers = scale.nepers.to(inputs)
        level = torch.zeros_like(nepers) if scale.level is None else scale.level.to(inputs)
        # Where channels are standardised one by one, neighbours compare only as powers.
        if draws.distortion is not None:
            inputs = distort((inputs - level) * nepers, draws.distortion) / nepers + level
        if draws.filter is not None:
            gain = filter_gain(draws.filter, inputs.shape[2], settings).to(inputs)
            inputs = inputs + (gain / nepers)[:, None]
        if draws.masked_mels is not None:
            inputs = frequency_mask(inputs, draws.masked_mels)
    if draws.noise is not None:
        inputs = add_noise(inputs, draws.noise)
    if draws.input_noise is not None:
        inputs = inputs + settings.input_noise * draws.input_noise.to(inputs)
    return inputs


def augment_once(
    batch: InputBatch, settings: AugmentSettings, scale: InputScale, generator: Random
) -> InputBatch:
    """One version of a batch, for a training without a teacher."""
    batch = move(batch, settings, scale, generator)
    draws = draw_colour(batch.inputs.shape, settings, generator)
    return replace(batch, inputs=colour(batch.inputs, draws, settings, scale))


def augment(
    batch: InputBatch, settings: AugmentSettings, scale: InputScale, generator: Random
) -> tuple[InputBatch, InputBatch]:
    """The student's and the teacher's version of a batch: the same labels, other colours."""
    batch = move(batch, settings, scale, generator)
    versions = []
    for _ in range(2):
        draws = draw_colour(batch.inputs.shape, settings, generator)
        versions.append(replace(batch, inputs=colour(batch.inputs, draws, settings, scale)))
    return versions[0], versions[1]
