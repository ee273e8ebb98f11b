"""Models that are small enough to build in each test, calibrated on noise."""

import torch

from pmam.clustering.pca import moments
from pmam.encoders.settings import EncoderSettings
from pmam.models.backbone import Backbone
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, ModelSettings

CONTEXT = ContextSettings(width=16, layers=1, heads=2, hidden=16)


def backbone(context: ContextSettings = CONTEXT, seed: int = 0) -> Backbone:
    """Random weights over a calibrated encoder, in evaluation mode."""
    torch.manual_seed(seed)
    model = Backbone(ModelSettings(encoder=EncoderSettings(name="small_cnn"), context=context))
    encoder = model.encoder
    noise = 0.1 * torch.randn(1, 3 * encoder.sample_rate_hz)
    encoder.calibration.fit(moments(lambda: iter([encoder.raw(noise)[0]])))
    return model.eval()


def detector(classes: tuple[str, ...] = ("cat", "dog"), seed: int = 0) -> DetectorModel:
    """A detector that was never trained."""
    return DetectorModel(backbone(seed=seed), classes).eval()


def masked(prototype_width: int = 5, seed: int = 0) -> MaskedAudioModel:
    """A masked model that was never trained."""
    return MaskedAudioModel(backbone(seed=seed), prototype_width).eval()
