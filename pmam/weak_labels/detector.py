"""A network for weak labels as a detector: clips and frames of named classes."""

import torch
from torch import Tensor

from pmam.encoders.base import FrameEncoder
from pmam.errors import InputError
from pmam.events.settings import PostprocessSettings
from pmam.models.detector import UNCHOSEN, Detection, FrameDetector
from pmam.weak_labels.front_end import LogMelInputs
from pmam.weak_labels.networks import WeakNetwork, WeakOutput
from pmam.weak_labels.registry import NETWORKS
from pmam.weak_labels.settings import WeakNetworkSettings


class WeakDetector(FrameDetector):
    """A network and its front-end; its frames come from where the network looks.

    Args:
        settings: network and spectrogram.
        classes: names of the outputs.
        postprocess: how its frame probabilities become events; carried along, not applied.

    Raises:
        InputError: no class, or post-processing of a class that is not there.
    """

    def __init__(
        self,
        settings: WeakNetworkSettings,
        classes: tuple[str, ...],
        postprocess: PostprocessSettings = UNCHOSEN,
    ) -> None:
        super().__init__()
        if not classes:
            raise InputError("a detector needs at least one class: label some training clips")
        postprocess.check(classes)
        self.settings, self.classes, self.postprocess = settings, classes, postprocess
        self.front_end = LogMelInputs(settings)
        self.network: WeakNetwork = NETWORKS[settings.model](settings, len(classes))

    @property
    def encoder(self) -> FrameEncoder:
        """The front-end."""
        return self.front_end

    def output(self, inputs: Tensor) -> WeakOutput:
        """All that the network says of standardised log-mel `(B, T, mels)`.

        Raises:
            InputError: fewer frames than one cell of the network's maps hears.
        """
        least, frames = self.network.field_frames, inputs.shape[1]
        if frames < least:
            raise InputError(
                f"{frames} frames of {self.settings.hop_s:.3f} s: shorter than the field of "
                f"{self.settings.model}, {least} frames; give at least "
                f"{least * self.settings.hop_s:.2f} s"
            )
        found: WeakOutput = self.network(inputs)
        return found

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Detection:
        """`inputs (B, T, mels)`; padding is silence, which the network hears as such."""
        found = self.output(inputs)
        return Detection(frames=found.frames.float(), clips=found.clips.float())


def build_weak(
    settings: WeakNetworkSettings, classes: tuple[str, ...], seed: int = 0
) -> WeakDetector:
    """A network whose weights are a pure function of the seed, not calibrated yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WeakDetector(settings, classes)
