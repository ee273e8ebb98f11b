"""Frames that need not fit in memory: an array, or a function that opens a new pass of blocks."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from pmam.errors import InputError

Array: TypeAlias = torch.Tensor | npt.NDArray[Any]
Frames: TypeAlias = Array | Callable[[], Iterable[Array]]
Device: TypeAlias = torch.device | str | None

# Rows that one step of arithmetic works on: the temporaries stay in the cache of a CPU core,
# and are large enough to fill a GPU.
ROWS_ON_CPU = 4096
ROWS_ON_GPU = 65536
SHUFFLED_ROWS = 32768


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


def first_piece(frames: Frames) -> torch.Tensor:
    """The first rows `(n, D)` of the frames; `InputError` where there are none."""
    for x in steps_of(frames):
        return x
    raise InputError("frames: got none; expected at least one block of (n, D)")


def sample_rows(frames: Frames, size: int, seed: int, device: Device = None) -> torch.Tensor:
    """A uniform sample without replacement `(min(size, N), D)`, in stream order, from one pass.

    Every frame draws a random number and the `size` smallest stay: so the sample depends on the
    seed and the frames, and not on how they are cut into blocks.
    """
    generator = np.random.default_rng(seed)
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
    return kept


def shuffled_batches(
    frames: Frames, size: int, seed: int, device: Device = None
) -> Iterator[torch.Tensor]:
    """One pass in batches `(size, D)` of mixed rows; the last batch may be smaller.

    Rows change places within `SHUFFLED_ROWS` that follow each other: neighbours in a stream are of
    one clip, and a batch should hold many.
    """
    generator = np.random.default_rng(seed)
    held: list[torch.Tensor] = []
    count = 0
    for piece in steps_of(frames, device):
        held.append(piece)
        count += len(piece)
        if count >= SHUFFLED_ROWS:
            rows = _shuffled(held, generator)
            whole = count // size * size
            yield from torch.split(rows[:whole], size)
            held, count = [rows[whole:]], count - whole
    if count:
        yield from torch.split(_shuffled(held, generator), size)


def _shuffled(pieces: list[torch.Tensor], generator: np.random.Generator) -> torch.Tensor:
    rows = torch.cat(pieces)
    return rows[torch.as_tensor(generator.permutation(len(rows)), device=rows.device)]


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
