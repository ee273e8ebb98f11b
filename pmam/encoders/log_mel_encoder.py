"""What the encoders share that take PaSST's log-mel as it is."""

import torch
from torch import Tensor

from pmam.clustering.pca import Moments
from pmam.encoders.base import FrameEncoder
from pmam.encoders.calibration import Calibration
from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.encoders.settings import EncoderSettings
from pmam.errors import InputError

FRONTEND = LogMelSettings(peak_normalise=True)
# Of the front-end's log-mel: it divides natural logarithms of power by 5.
NEPERS_PER_UNIT = 5.0


class AsPublished(Calibration):
    """No standardisation: published weights expect the front-end's own scale."""

    def __init__(self, width: int) -> None:
        super().__init__(width, None)
        self.fitted.fill_(True)

    def fit(self, total: Moments) -> None:
        """Nothing to fit."""

    def forward(self, raw: Tensor) -> Tensor:
        """`(B, frames, width)`, unchanged."""
        return raw


class LogMelEncoder(FrameEncoder):
    """128 mel bands of 32 kHz audio, 100 frames a second, in and out."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        if settings.pca is not None:
            raise InputError(
                f"{settings.name} looks at mel bands side by side: leave the encoder's pca unset"
            )
        self.settings = settings
        self.frontend = LogMel(FRONTEND)
        self.calibration = AsPublished(FRONTEND.mels)
        self.sample_rate_hz = FRONTEND.sample_rate_hz
        self.input_hop_s = self.hop_s = FRONTEND.hop_s

    def raw(self, waveform: Tensor) -> Tensor:
        """Log-mel, `(B, samples)` to `(B, T, mels)`."""
        logmel: Tensor = self.frontend(waveform)
        return logmel.transpose(1, 2)

    def log_mel_units(self) -> tuple[Tensor, Tensor]:
        """See `FrameEncoder`."""
        mels = self.calibration.mean
        return torch.full_like(mels, NEPERS_PER_UNIT), torch.zeros_like(mels)
