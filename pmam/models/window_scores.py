"""Frame probabilities and events of streams of samples of any length."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pmam.events.event import frame_end_s
from pmam.events.overlap_add import Windows, overlap_added, split
from pmam.events.settings import PostprocessSettings
from pmam.events.streaming import detected
from pmam.models.detector import FrameDetector

Floats = npt.NDArray[np.float32]
AT_ONCE = 4  # batches, each of which takes memory


class ScoredEvent(NamedTuple):
    """A detected event; its score is the highest smoothed frame probability inside it."""

    onset_s: float
    offset_s: float
    label: str
    score: float


def stream_scores(
    detector: FrameDetector,
    blocks: Iterable[Floats],
    *,
    window_s: float,
    overlap_s: float,
    batch: int,
    part: "Part | None" = None,
    ahead: bool = False,
) -> Iterator[Floats]:
    """Frame probabilities `(frames, classes)` of a stream of samples, in blocks.

    Args:
        detector: in evaluation mode.
        blocks: of samples, of any lengths, at the rate of the encoder.
        window_s: what the detector is given at once.
        overlap_s: of neighbouring windows, where they fade into each other.
        batch: windows that go in together at most.
        part: of the frames, by default all; parts that follow each other give, joined, the numbers
            of the whole.
        ahead: take blocks before scores are asked for, and score batches side by side, on as many
            cores as torch has: sooner done, but a block's scores come later.
    """
    encoder = detector.encoder
    windows = Windows.of(window_s, overlap_s, encoder.hop_s)
    per_frame = round(encoder.hop_s * encoder.sample_rate_hz)
    pairs = split(blocks, windows, per_frame)
    if part is None:
        return window_scores(detector, pairs, windows.overlap, batch, ahead)
    return _scores_of_part(detector, pairs, windows, batch, part, ahead)


class Part(NamedTuple):
    """Frames of a stream, from where one window begins to where another one does.

    Args:
        first: number of the first window.
        end: number of the window that begins where the part ends; at least one window must follow
            it. None: to the end of the stream.
    """

    first: int
    end: int | None


def _scores_of_part(
    detector: FrameDetector,
    pairs: Iterable[tuple[int, Floats]],
    windows: Windows,
    batch: int,
    part: Part,
    ahead: bool,
) -> Iterator[Floats]:
    """Windows before the part reach into it; they go in by the same batches as in the whole."""
    step = windows.frames - windows.overlap
    reaching = -(-windows.frames // step) - 1
    lead = min(part.first, -(-reaching // batch) * batch)
    begin = (part.first - lead) * step
    chosen = itertools.islice(pairs, part.first - lead, part.end)
    shifted = ((first - begin, samples) for first, samples in chosen)
    skip = lead * step
    left = None if part.end is None else (part.end - part.first) * step
    for scores in window_scores(detector, shifted, windows.overlap, batch, ahead):
        kept = scores[skip:] if left is None else scores[skip : skip + left]
        skip = max(0, skip - len(scores))
        if left is not None:
            left -= len(kept)
        if len(kept):
            yield kept


def stream_events(
    detector: FrameDetector,
    scores: Iterable[Floats],
    end_s: Callable[[], float],
    postprocess: PostprocessSettings,
) -> Iterator[ScoredEvent]:
    """The events of a stream of scores, each as soon as it is over.

    Args:
        detector: whose scores they are.
        scores: blocks `(frames, classes)`.
        end_s: how long the sound is, as far as that is known.
        postprocess: from scores to events.
    """
    hop_s = detector.encoder.hop_s
    for run in detected(scores, detector.classes, hop_s, postprocess):
        yield ScoredEvent(
            onset_s=run.first * hop_s,
            # The last frame may be longer than what is left of the sound.
            offset_s=frame_end_s(run.end - 1, hop_s, end_s()),
            label=detector.classes[run.column],
            score=run.peak,
        )


def window_scores(
    detector: FrameDetector,
    windows: Iterable[tuple[int, Floats]],
    overlap: int,
    batch: int,
    ahead: bool = False,
) -> Iterator[Floats]:
    """Frame probabilities `(frames, classes)` of a stream of windows, in blocks.

    Args:
        detector: in evaluation mode.
        windows: `(first frame, samples)`, in order.
        overlap: frames that neighbours share.
        batch: windows that go in together at most.
        ahead: as for `stream_scores`.
    """
    on_cpu = next(detector.parameters()).device.type == "cpu"
    in_order = side_by_side if ahead and on_cpu else map
    return overlap_added(windows, partial(_probabilities, detector), overlap, batch, in_order)


def side_by_side(apply: Callable[[Floats], Floats], batches: Iterable[Floats]) -> Iterator[Floats]:
    """`map`, on the cores that torch has: each batch on one or few of them, several at once.

    Small networks gain more so than from all cores in one layer, and whoever makes the batches,
    here whoever decodes, does so beside them.
    """
    threads = torch.get_num_threads()
    workers = min(threads, AT_ONCE)
    if workers < 2:
        yield from map(apply, batches)
        return

    def with_its_share() -> None:
        torch.set_num_threads(threads // workers)  # of the calling thread

    waiting: deque[Future[Floats]] = deque()
    pool = ThreadPoolExecutor(workers, initializer=with_its_share)
    try:
        for batch in batches:
            waiting.append(pool.submit(apply, batch))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # also what threads that begin later take


@torch.inference_mode()
def _probabilities(detector: FrameDetector, samples: Floats) -> Floats:
    """`(B, samples)` to `(B, frames, classes)`."""
    device = next(detector.parameters()).device
    inputs = detector.encoder.inputs(torch.from_numpy(samples).to(device))
    frames: Floats = detector(inputs).frames.float().cpu().numpy()
    return frames
