"""Frame probabilities of a stream of windows of any length."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from pmam.events.overlap_add import overlap_added
from pmam.models.detector import FrameDetector

Floats = npt.NDArray[np.float32]


def window_scores(
    detector: FrameDetector, windows: Iterable[tuple[int, Floats]], overlap: int, batch: int
) -> Iterator[Floats]:
    """Frame probabilities `(frames, classes)` of a stream of windows, in blocks.

    Args:
        detector: in evaluation mode.
        windows: `(first frame, samples)`, in order.
        overlap: frames that neighbours share.
        batch: windows that go in together at most.
    """
    return overlap_added(windows, partial(_probabilities, detector), overlap, batch)


@torch.inference_mode()
def _probabilities(detector: FrameDetector, samples: Floats) -> Floats:
    """`(B, samples)` to `(B, frames, classes)`."""
    device = next(detector.parameters()).device
    inputs = detector.encoder.inputs(torch.from_numpy(samples).to(device))
    frames: Floats = detector(inputs).frames.float().cpu().numpy()
    return frames
