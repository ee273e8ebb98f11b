"""Frames that need not fit in memory: an array, or a function that opens a new pass of blocks."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from pmam.errors import InputError
from pmam.mixture.process_group import ProcessGroup

Array: TypeAlias = torch.Tensor | npt.NDArray[Any]
Frames: TypeAlias = Array | Callable[[], Iterable[Array]]
Device: TypeAlias = torch.device | str | None
A = TypeVar("A")

# Rows that one step of arithmetic works on: the temporaries stay in the cache of a CPU core,
# and are large enough to fill a GPU.
ROWS_ON_CPU = 4096
ROWS_ON_GPU = 65536


def steps_of(
    frames: Frames, device: Device = None, rows_on_cpu: int | None = None
) -> Iterator[torch.Tensor]:
    """One pass over the frames in pieces `(n, D)`, n bounded, float32 or float64, in order.

    `device` None leaves the pieces where they are. float16 and bfloat16 become float32. A piece
    has `ROWS_ON_CPU` rows at most (or `rows_on_cpu`), or `ROWS_ON_GPU`.
    Raises `InputError` for blocks that are not `(n, D)` floating point, whose D differs, or
    that hold NaN or infinity.
    """
    width: int | None = None
    row = 0
    for block in _blocks_of(frames):
        if block.ndim != 2:
            raise InputError(f"frames: got shape {tuple(block.shape)}; expected blocks of (n, D)")
        if width is not None and block.shape[1] != width:
            raise InputError(
                f"frames: got D = {block.shape[1]} after D = {width}; expected one width: "
                "embed all clips with the same encoder"
            )
        width = int(block.shape[1])
        at_home = block.device if isinstance(block, torch.Tensor) else "cpu"
        on_cpu = rows_on_cpu or ROWS_ON_CPU
        rows = on_cpu if torch.device(device or at_home).type == "cpu" else ROWS_ON_GPU
        for start in range(0, block.shape[0], rows):
            piece = _as_tensor(block[start : start + rows]).to(device)
            if not bool(torch.isfinite(piece).all()):
                bad = row + start + int((~torch.isfinite(piece).all(dim=1)).nonzero()[0])
                raise InputError(f"frames: row {bad} holds NaN or infinity; expected finite values")
            yield piece
        row += block.shape[0]


def absorbed(
    frames: Frames,
    device: torch.device,
    rows_on_cpu: int,
    make: Callable[[], A],
    absorb: Callable[[A, torch.Tensor], None],
) -> list[A]:
    """One pass over the frames by all threads of a CPU: what each of them absorbed.

    Pieces go to the threads in turn, and each thread works on one piece at a time: which pieces one
    absorbs, and in which order, depends on the number of threads alone. Operations on matrices
    of a few dozen columns are too small to be shared out.

    Args:
        frames: see `steps_of`, as `rows_on_cpu`.
        device: where to compute; on a GPU this thread does all.
        rows_on_cpu: of a piece.
        make: what a thread absorbs into; called once for each, at least once.
        absorb: adds a piece to what `make` gave, in place.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    steps = steps_of(frames, device, rows_on_cpu)
    if threads == 1:
        whole = make()
        for x in steps:
            absorb(whole, x)
        return [whole]
    lanes: list[ThreadPoolExecutor] = []
    try:
        lanes = [
            ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
            for _ in range(threads)
        ]
        parts = [make() for _ in lanes]
        waiting: deque[Future[None]] = deque()
        for number, x in enumerate(steps):
            lane = number % threads
            waiting.append(lanes[lane].submit(absorb, parts[lane], x))
            if len(waiting) > 2 * threads:
                waiting.popleft().result()
        for each in waiting:
            each.result()
    finally:
        for each_lane in lanes:
            each_lane.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # which a thread's own setting changes for MKL
    return parts


def first_piece(frames: Frames) -> torch.Tensor:
    """The first rows `(n, D)` of the frames; `InputError` where there are none."""
    for x in steps_of(frames):
        return x
    raise InputError("frames: got none; expected at least one block of (n, D)")


def sample_rows(
    frames: Frames,
    size: int,
    seed: int,
    device: Device = None,
    group: ProcessGroup | None = None,
) -> torch.Tensor:
    """A uniform sample without replacement `(min(size, N), D)`, in stream order, from one pass.

    Every frame draws a random number and the `size` smallest stay: so the sample depends on the
    seed and the frames, and not on how they are cut into blocks. Of the frames of a `group`, which
    each hold some, all workers get the same sample.
    """
    several = group is not None and group.world_size > 1
    generator = np.random.default_rng([seed, group.rank] if group and several else seed)
    kept, draws = _drawn(frames, size, generator, device)
    if not group or not several:
        return kept
    kept = group.gathered(kept)
    draws = group.gathered(torch.as_tensor(draws, device=kept.device)).cpu().numpy()
    if len(draws) > size:
        stay = np.sort(np.argpartition(draws, size)[:size])
        kept = kept[torch.as_tensor(stay, device=kept.device)]
    return kept


def _drawn(
    frames: Frames, size: int, generator: np.random.Generator, device: Device
) -> tuple[torch.Tensor, npt.NDArray[np.float64]]:
    """The rows of the smallest draws, and these."""
    kept: torch.Tensor | None = None
    draws = np.empty(0)
    for piece in steps_of(frames, device):
        fresh = generator.random(len(piece))
        limit = draws.max() if len(draws) == size else np.inf  # far into a stream few come in
        candidates = np.flatnonzero(fresh < limit)
        rows = piece[torch.as_tensor(candidates, device=piece.device)]
        kept = rows if kept is None else torch.cat([kept, rows])
        draws = np.concatenate([draws, fresh[candidates]])
        if len(draws) > size:
            stay = np.sort(np.argpartition(draws, size)[:size])
            kept, draws = kept[torch.as_tensor(stay, device=kept.device)], draws[stay]
    if kept is None:
        raise InputError("frames: got none; expected at least one block of (n, D)")
    return kept, draws


def _blocks_of(frames: Frames) -> Iterable[Array]:
    if isinstance(frames, torch.Tensor | np.ndarray):
        return (frames,)
    if not callable(frames):
        raise InputError(
            f"frames: got {type(frames).__name__}; expected an array (N, D), or a function that "
            "returns a new iterator of blocks (n, D) at each call"
        )
    return frames()


def _as_tensor(block: Array) -> torch.Tensor:
    if not isinstance(block, torch.Tensor):
        # torch takes no read-only memory and no foreign byte order; a piece is small: copy it
        block = torch.from_numpy(np.require(block, requirements=["C", "W"]))
    if not block.is_floating_point():
        raise InputError(f"frames: got {block.dtype}; expected floating point")
    return block if block.dtype in (torch.float32, torch.float64) else block.float()
