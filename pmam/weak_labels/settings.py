"""Settings of the networks that learn from weak labels, and of what they hear."""

from dataclasses import dataclass

from pmam.errors import InputError
from pmam.weak_labels.registry import NETWORKS


@dataclass(frozen=True, kw_only=True)
class WeakNetworkSettings:
    """Which network, how wide, and the log-mel spectrogram that it hears.

    The defaults are the published size: 311 frames of 64 mel bands in 10 s. Published frames lie
    1024 samples apart without padding at the ends; ours 1029, so that 311 cover all of a clip.
    """

    # Network: mtl (dual-stage attention with reconstruction), gmp, gap, gwrp or atrous.
    model: str = "mtl"
    # Channels of the first convolution, of which the others are multiples; published: 32.
    width: int = 32
    # Mel bands.
    mels: int = 64
    # Frames between which the attention of mtl decides; clips of other lengths are resampled to it.
    frames: int = 311
    # Sample rate that recordings are resampled to.
    sample_rate_hz: int = 32_000
    # Samples from one frame to the next.
    hop_samples: int = 1029
    # Samples of one frame's window.
    window_samples: int = 2048

    def __post_init__(self) -> None:
        if self.model not in NETWORKS:
            raise InputError(f"model {self.model!r}: expected one of {', '.join(NETWORKS)}")
        sizes = {"width": self.width, "frames": self.frames, "hop_samples": self.hop_samples}
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"{name} {value}: expected at least 1")
        if self.mels < 4 or self.sample_rate_hz < 1000:
            raise InputError(
                f"{self.mels} mel bands at {self.sample_rate_hz} Hz: expected at least 4 and 1000"
            )
        if self.window_samples < self.hop_samples or self.window_samples % 2:
            raise InputError(
                f"window_samples {self.window_samples}: expected an even number of at least "
                f"hop_samples, {self.hop_samples}: no sample may fall between two windows"
            )

    @property
    def hop_s(self) -> float:
        """Time from one frame to the next."""
        return self.hop_samples / self.sample_rate_hz

    @property
    def clip_s(self) -> float:
        """The length of a clip that has `frames` frames."""
        return self.frames * self.hop_s
