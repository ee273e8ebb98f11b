"""What the networks hear: log-mel spectrograms, standardised on the training folds."""

from torch import Tensor

from pmam.encoders.base import FrameEncoder
from pmam.encoders.calibration import Calibration
from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.encoders.settings import EncoderSettings
from pmam.weak_labels.settings import WeakNetworkSettings


class LogMelInputs(FrameEncoder):
    """Waveforms to standardised log-mel `(B, T, mels)`; nothing of it is trained.

    The published features' code is not public; what is known of them is 311 frames of 64 bands.
    Pre-emphasis and scale of the project's front-end are constants of a band, which the
    standardisation takes away.
    """

    def __init__(self, settings: WeakNetworkSettings) -> None:
        super().__init__()
        self.settings = EncoderSettings(name="log_mel")
        fft_size = 1 << (settings.window_samples - 1).bit_length()
        self.frontend = LogMel(
            LogMelSettings(
                sample_rate_hz=settings.sample_rate_hz,
                fft_size=fft_size,
                window_samples=settings.window_samples,
                hop_samples=settings.hop_samples,
                mels=settings.mels,
                high_hz=settings.sample_rate_hz / 2,
            )
        )
        self.calibration = Calibration(settings.mels, None)
        self.sample_rate_hz = settings.sample_rate_hz
        self.input_hop_s = self.hop_s = settings.hop_s
        self.width = settings.mels

    def raw(self, waveform: Tensor) -> Tensor:
        """Log-mel, `(B, samples)` to `(B, T, mels)`."""
        logmel: Tensor = self.frontend(waveform)
        return logmel.transpose(1, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(B, T, mels)`, unchanged."""
        return inputs
