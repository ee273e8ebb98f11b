"""The models: an encoder and a context network, with a masked head or an event head."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.encoders.base import FrameEncoder
from pmam.encoders.settings import SlidingSettings
from pmam.errors import InputError
from pmam.events.settings import PostprocessSettings
from pmam.models.backbone import Backbone, branch_probabilities, clip_head
from pmam.models.settings import DetectorSettings


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What the detector says, as probabilities."""

    frames: Tensor  # (B, T, classes)
    clips: Tensor  # (B, classes)
    branch: Tensor | None = None  # (B, classes), of a clip branch of its own
    context: Tensor | None = None  # (B, T, width), what the frames were classified by


def linear_softmax(frames: Tensor, padding: Tensor | None = None) -> Tensor:
    """Clip probabilities `sum_t p^2 / sum_t p` (arXiv 1810.09050): `(B, T, C)` to `(B, C)`.

    Padded frames count for nothing; a clip of padding alone gets 0.
    """
    if padding is not None:
        frames = frames.masked_fill(padding[..., None], 0.0)
    total = frames.sum(dim=1)
    return (frames.square().sum(dim=1) / total.clamp_min(1e-7)).clamp(0.0, 1.0)


PLAIN = DetectorSettings()
UNCHOSEN = PostprocessSettings()


class FrameDetector(nn.Module):
    """What scores clips and frames of named classes; called, it gives a `Detection`."""

    classes: tuple[str, ...]
    postprocess: PostprocessSettings  # how its frame probabilities become events

    @property
    def encoder(self) -> FrameEncoder:
        """From waveforms to what it is called with."""
        raise NotImplementedError


class DetectorModel(FrameDetector):
    """The sound-event detector: probabilities of each class in each frame and in the clip.

    Args:
        backbone: gives frames, and perhaps a token of the clip.
        classes: names of the outputs.
        settings: how the backbone is read.
        postprocess: how its frame probabilities become events; carried along, not applied.

    Raises:
        InputError: no class, a setting that does not fit the encoder, or post-processing of a
            class that is not there.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: tuple[str, ...],
        settings: DetectorSettings = PLAIN,
        postprocess: PostprocessSettings = UNCHOSEN,
    ) -> None:
        super().__init__()
        if not classes:
            raise InputError("a detector needs at least one class: label some training clips")
        self.classes = classes
        for sliding in (settings.sliding, settings.teacher_sliding):
            backbone.encoder.check_sliding(sliding)
        postprocess.check(classes)
        self.settings, self.postprocess = settings, postprocess
        self.teaches = False
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.settings.context.width, len(classes))
        self.branch = clip_head(backbone, len(classes))

    @property
    def encoder(self) -> FrameEncoder:
        """The backbone's."""
        return self.backbone.encoder

    @property
    def sliding(self) -> SlidingSettings | None:
        """The windows of the encoder as things are; None for none."""
        chosen = self.settings.sliding
        if self.training:
            chosen = self.settings.teacher_sliding if self.teaches else PLAIN.sliding
        return chosen if chosen.frames else None

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Detection:
        """`inputs (B, input frames, channels)`, `padding (B, T)` true on frames to ignore."""
        projected, clip = self.backbone.embed_with_clip(inputs, self.sliding)
        context = self.backbone.context(projected, padding)
        return self.classify(context, clip, padding)

    def classify(self, context: Tensor, clip: Tensor | None, padding: Tensor | None) -> Detection:
        """Context frames `(B, T, width)` and clips `(B, token width)` to probabilities."""
        temperature = 1.0 if self.training else self.settings.temperature
        # In single precision: near 0 and 1, half of its digits leave too few probabilities.
        frames = torch.sigmoid(self.classifier(context).float() / temperature)
        branch = branch_probabilities(self.branch, clip)
        clips = linear_softmax(frames, padding)
        return Detection(frames=frames, clips=clips, branch=branch, context=context)
