"""What is done to training examples, and how strongly; everything is off by default."""

import math
from dataclasses import dataclass
from typing import Literal

from pmam.errors import InputError


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Strengths of the augmentations; 0, or None, switches one off.

    Shift, mixup and the time mask move labels: student and teacher get the same. The filter, the
    distortion, the frequency mask and the noises leave labels as they are: each draws its own.
    """

    # Standard deviation of a circular shift in time, in seconds (PMAM: 0.9).
    frame_shift_s: float = 0.0
    # Share of the batches whose clips are mixed with each other (PMAM's pretraining: 0.5).
    mixup_share: float = 0.0
    # Parameters of the beta distribution of a clip's share in its mixture (PMAM: 10, 0.5 in
    # fine-tuning).
    mixup_beta: tuple[float, float] = (10.0, 0.5)
    # Labels of a mixture: soft weighs them like the clips, hard keeps all events of both.
    mixup_labels: Literal["soft", "hard"] = "soft"
    # Longest stretch of time that is silenced, in seconds.
    time_mask_s: float = 0.0
    # Range of FilterAugment's gains of power, in decibels (arXiv 2110.03282; PMAM: -26, 26).
    filter_db: tuple[float, float] = (0.0, 0.0)
    # Smallest and largest number of the filter's bands.
    filter_bands: tuple[int, int] = (2, 4)
    # Width of the narrowest band, in mel channels.
    filter_least_mels: int = 4
    # Shape of the gains: constant in each band, or linear (in decibels) between the bands' edges.
    filter_shape: Literal["step", "linear"] = "step"
    # Formula of the gains; `published` is that of PMAM's code: half of the decibels, and NaN where
    # linear and negative.
    filter_gain: Literal["decibels", "published"] = "decibels"
    # Largest displacement of frequency distortion, as a share of the mel axis (PMAM: 0.03).
    distortion: float = 0.0
    # Whether each clip is distorted in its own way, or (PMAM's code) all clips of a batch alike.
    distortion_per: Literal["clip", "batch"] = "clip"
    # Largest number of mel channels that are masked.
    frequency_mask_mels: int = 0
    # Range of the signal-to-noise ratio of white noise on the encoder's inputs, in decibels.
    noise_snr_db: tuple[float, float] | None = None
    # Standard deviation of white noise on the encoder's calibrated inputs, whose own is about 1 in
    # each channel.
    input_noise: float = 0.0

    def __post_init__(self) -> None:
        lengths = (self.frame_shift_s, self.time_mask_s, self.frequency_mask_mels)
        if min(lengths) < 0:
            raise InputError(f"shift and mask lengths {lengths}: expected 0 or more")
        if not 0 <= self.input_noise < math.inf:
            raise InputError(f"input_noise {self.input_noise}: expected 0 or more")
        if not 0 <= self.mixup_share <= 1 or min(self.mixup_beta) <= 0:
            raise InputError(
                f"mixup of a share {self.mixup_share} with beta {self.mixup_beta}: "
                "expected a share between 0 and 1 and positive numbers"
            )
        few, many = self.filter_bands
        if not 1 <= few <= many or self.filter_least_mels < 1:
            raise InputError(
                f"filter of {few} to {many} bands of at least {self.filter_least_mels} mels: "
                "expected 1 <= fewest <= most, and bands of 1 mel or more"
            )
        # Beyond 1 / (2 pi) the distorted axis would run backwards somewhere.
        if not 0 <= self.distortion < 0.159:
            raise InputError(f"distortion {self.distortion}: expected a share in [0, 0.159)")

    @property
    def filters(self) -> bool:
        """Whether FilterAugment is on."""
        return self.filter_db != (0.0, 0.0)

    @property
    def needs_mel(self) -> bool:
        """Whether the encoder's inputs must be log-mel."""
        return self.filters or self.distortion > 0 or self.frequency_mask_mels > 0
