"""The frames that one worker of a fit streams: its part of the clips, block by block."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.runtime.workers.remote_progress import Advance
from pmam.clustering.pca import Projection
from pmam.errors import InputError
from pmam.mixture.frame_blocks import ROWS_ON_GPU
from pmam.mixture.process_group import ProcessGroup
from shards.frames.frame_set import FrameSet

BLOCK_FRAMES = 16384  # read before they are worked on; a GPU takes as many as it works on at once
CPU_CACHE_BYTES = 256 << 20  # of frames as the mixture sees them, kept from pass to pass
RELEASE_BYTES = 64 << 20  # of frames, after which files let go of what they keep
Blocks = Callable[[], Iterator[Tensor]]


@dataclass(frozen=True)
class Piece:
    """Frames `[first, stop)` of a clip; `place` is the number of the first among all frames."""

    key: str
    first: int
    stop: int
    place: int


class FramePartition:
    """A worker's share of some clips: neighbours in their files, about as many frames as others.

    A clip goes to one worker whole. Which one follows from the counts alone, so that all workers
    know it without a word.

    Args:
        frames: holds the clips.
        keys: of all workers' clips.
        group: tells which part is ours, and where to compute.
    """

    def __init__(self, frames: FrameSet, keys: Sequence[str], group: ProcessGroup) -> None:
        self.frames, self.device = frames, group.device
        chosen = set(keys)
        ordered = [key for key in frames if key in chosen]
        counts = np.array([frames.count(key) for key in ordered], np.int64)
        starts = np.cumsum(counts) - counts
        self.all = int(counts.sum())
        middle = (starts + counts / 2) / max(1, self.all)
        own = np.flatnonzero((middle * group.world_size).astype(int) == group.rank)
        self.clips = [(ordered[n], int(counts[n]), int(starts[n])) for n in own]
        self.count = int(counts[own].sum())
        self.at_once = BLOCK_FRAMES if self.device.type == "cpu" else ROWS_ON_GPU

    @property
    def width(self) -> int:
        """Of the frames."""
        return self.frames.spec.width

    def pieces(self) -> Iterator[list[Piece]]:
        """What each block is made of: a long clip is cut, short ones go together."""
        block: list[Piece] = []
        held = passed = 0
        for key, count, place in self.clips:
            for first in range(0, count, self.at_once):
                stop = min(count, first + self.at_once)
                block.append(Piece(key, first, stop, place + first))
                held += stop - first
                if held >= self.at_once:
                    yield block
                    passed += held * self.width * 4
                    if passed > RELEASE_BYTES:
                        self.frames.release()
                        passed = 0
                    block, held = [], 0
        if block:
            yield block
        self.frames.release()

    def read(self, block: Sequence[Piece]) -> Tensor:
        """The frames `(n, D)` of a block in float32, on the device of the group.

        Raises:
            InputError: NaN or infinity among them, by clip and frame.
        """
        parts = [self.frames.read(p.key, p.first, p.stop) for p in block]
        # A sum shows most cheaply that something is wrong.
        for piece, part in zip(block, parts, strict=True):
            if not np.isfinite(part.sum(dtype=np.float64)):
                bad = np.flatnonzero(~np.isfinite(part).all(axis=1))
                if len(bad):
                    raise InputError(
                        f"{piece.key}: frame {piece.first + bad[0]} of its embedding holds NaN or "
                        "infinity; expected finite values: look at the clip, and embed it again"
                    )
        return torch.from_numpy(np.concatenate(parts)).to(self.device)

    def blocks(self, advance: Advance | None = None) -> Iterator[Tensor]:
        """All frames once, a few thousand at a time."""
        for block in self.pieces():
            yield self.read(block)
            if advance is not None:
                advance(sum(piece.stop - piece.first for piece in block), "")

    def rows(self, places: npt.NDArray[np.int64], advance: Advance) -> Tensor:
        """Those of some frames that this worker has, in order; `places` rise."""
        held = [torch.empty(0, self.width, device=self.device)]
        for block in self.pieces():
            for piece in block:
                ends = [piece.place, piece.place + piece.stop - piece.first]
                low, high = np.searchsorted(places, ends)
                if high > low:
                    wanted = torch.from_numpy(places[low:high] - piece.place).to(self.device)
                    held.append(self.read([piece])[wanted])
            advance(sum(piece.stop - piece.first for piece in block), "")
        return torch.cat(held)

    def beside(self, before: FrameSet) -> Iterator[tuple[Tensor, Tensor]]:
        """Frames `(n, D)` with the posteriors `(n, J)` stored at their times, where there are."""
        for block in self.pieces():
            common = [piece for piece in block if piece.key in before]
            found = [posteriors_at(before, self.frames, piece) for piece in common]
            if common:
                held = np.concatenate([held for held, _ in found])
                rows = np.concatenate([rows for _, rows in found])
                frames = self.read(common)[torch.from_numpy(held).to(self.device)]
                yield frames, torch.from_numpy(rows).to(self.device)


def posteriors_at(
    before: FrameSet, frames: FrameSet, piece: Piece
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """For which frames of a piece there are posteriors, and these `(n, J)`, with sums of 1.

    They are those nearest in time; beyond either end, at most one step of the grid farther.

    Raises:
        InputError: posteriors of some frames of the grid alone.
    """
    if before.positions(piece.key) is not None:
        raise InputError(
            f"{piece.key}: got posteriors of some frames alone; expected those of all, as "
            "`pmam label` writes them"
        )
    at, grid = frames.spec, before.spec
    indices = np.arange(piece.first, piece.stop)
    if (positions := frames.positions(piece.key)) is not None:
        indices = positions[indices]
    times_s = at.first_frame_s + indices * at.hop_s
    nearest = np.rint((times_s - grid.first_frame_s) / grid.hop_s).astype(np.int64)
    count = before.count(piece.key)
    held = (nearest >= -1) & (nearest <= count) & (count > 0)
    nearest = nearest[held].clip(0, max(0, count - 1))
    low, high = (int(nearest.min()), int(nearest.max()) + 1) if len(nearest) else (0, 0)
    rows = before.read(piece.key, low, high)[nearest - low]
    # Stored in eight bits each, those of a frame may sum to a little more or less than 1.
    return held, rows / rows.sum(axis=1, keepdims=True).clip(1e-6)


def projected(part: FramePartition, projection: Projection | None) -> Blocks:
    """The frames as the mixture sees them, as often as asked.

    Kept from the first pass on where they fit: in half of the memory that a GPU has free, or in
    `CPU_CACHE_BYTES`.
    """
    width = part.width if projection is None else len(projection.components)
    fits = part.count * width * 4 <= _budget(part.device)
    kept: list[Tensor] = []  # the same blocks again: their bounds decide the last bits of sums

    def blocks() -> Iterator[Tensor]:
        if kept:
            yield from kept
            return
        passing = []
        for x in part.blocks():
            y = x if projection is None else projection.apply(x)
            if fits:
                passing.append(y)
            yield y
        kept.extend(passing)

    return blocks


def _budget(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return CPU_CACHE_BYTES
