"""How many clips go through a model together: as many as are told, or as many as pay."""

import logging
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from pipelines.runtime.errors import PipelineError

Floats = npt.NDArray[np.float32]
log = logging.getLogger("pmam")

# On a core, 1 to 8 windows of mn04 take the same time each, 16 half as long again: the values
# of a layer no longer stay in its cache.
ON_CPU = 4
FIRST, GREATEST = 8, 256  # on a GPU; the samples of so many wait in memory
GAIN = 1.1  # by which twice the batch must be faster, to be kept
MEASURED = 2  # batches of each size: the first of a size is slower
FULL = 0.9  # of the memory that may be used, and no larger batch is tried


class BatchSize:
    """The size of the next batch.

    On a CPU it stays. On a GPU it is doubled as long as clips pass faster and memory lasts; a
    batch that does not fit is halved, and so are those after it.

    Args:
        given: clips in a batch; None finds out.
        device: where the model is.
        share: of the GPU's memory that this process may use.
    """

    def __init__(self, given: int | None, device: torch.device, share: float = 1.0) -> None:
        on_gpu = device.type == "cuda"
        self.size = given or (FIRST if on_gpu else ON_CPU)
        self.growing = given is None and on_gpu
        self._device, self._share = device, share
        self._rate = 0.0  # units a second at half the size
        self._rates: list[float] = []  # at this size, of clips of one length
        self._length = 0

    def run(self, apply: Callable[[Floats], Floats], units: Floats) -> Floats:
        """`apply` to a batch `(B, units, ...)`, in as many pieces as memory asks for.

        Raises:
            PipelineError: a single clip does not fit into the GPU's memory.
        """
        done: list[Floats] = []
        first = 0
        while first < len(units):
            piece = units[first : first + self.size]
            started = time.perf_counter()
            frames: Floats | None = None
            try:
                frames = apply(piece)
            except torch.OutOfMemoryError as error:
                reason = " ".join(str(error).split())
            if frames is None:  # here, where the exception no longer holds on to what was made
                self._halve(len(piece), reason)
                continue
            done.append(frames)
            first += len(piece)
            self.observe(len(piece), piece.shape[1], time.perf_counter() - started)
        return done[0] if len(done) == 1 else np.concatenate(done)

    def observe(self, clips: int, length: int, seconds: float) -> None:
        """Learn from a batch of clips of `length` units each that took so long."""
        if not self.growing or clips < self.size:
            return
        if length != self._length:  # rates of other lengths say nothing
            self._length, self._rate, self._rates = length, 0.0, []
        self._rates.append(clips * length / max(seconds, 1e-9))
        if len(self._rates) < MEASURED:
            return
        rate = max(self._rates)
        if rate < GAIN * self._rate:
            self._settle(self.size // 2, "a larger one is no faster")
        elif self.size >= GREATEST or 2 * self._memory() > FULL:
            self._settle(self.size, "a larger one would need too much memory")
        else:
            self.size, self._rate, self._rates = 2 * self.size, rate, []

    def _settle(self, size: int, why: str) -> None:
        self.size, self.growing = size, False
        log.info("batches of %d: %s", size, why)

    def _halve(self, tried: int, reason: str) -> None:
        self.growing = False
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if tried == 1:
            raise PipelineError(
                f"one clip or window does not fit into the GPU's memory ({reason}); give a shorter "
                "--inference.window-s, or a larger --inference.gpus-per-worker"
            )
        self.size = tried // 2
        log.warning("out of the GPU's memory: batches of %d from here on", self.size)

    def _memory(self) -> float:
        """The greatest share of what this process may use that was in use up to now."""
        total = torch.cuda.get_device_properties(self._device).total_memory
        return torch.cuda.max_memory_allocated(self._device) / (self._share * total)
