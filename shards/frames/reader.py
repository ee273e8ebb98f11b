"""Frame sequences: embeddings, features, posteriors and scores, one row per clip.

An Arrow IPC file per audio shard, with random access by key: memory-mapped from a local disk,
range reads from an object store. `float16` and `float32` are stored as they are; `sparse8` keeps,
of values in [0, 1], those that round to at least 1/255, in 8 bits: each value is within 1/510.
"""

import contextlib
import json
import mmap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any, BinaryIO, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.errors import FrameError, MissingFileError, StoreError, naming
from shards.frames.checksums import check_keys, check_row, checked_entries
from shards.frames.footer import check_batches
from shards.frames.sparse8 import Floats, decode_sparse8
from shards.io.mapped import give_back, mapped
from shards.io.store import Store

FORMAT_VERSION = 1

Kind = Literal["features", "posteriors", "scores"]
DType = Literal["float16", "float32", "sparse8"]

COLUMNS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("values", pa.large_binary(), nullable=False),
        pa.field("positions", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True, kw_only=True)
class FrameSpec:
    """What every row of a file shares: its kind, width, storage type and time grid.

    Frame i of the grid is at `first_frame_s + i * hop_s`; the grid index of a row's frames is
    their place, or their `positions` where only some frames are kept. `columns` names the values of
    a frame, such as classes; files of before have none, and go with those that do.
    """

    kind: Kind
    width: int
    dtype: DType
    hop_s: float
    first_frame_s: float = 0.0
    columns: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.dtype not in get_args(DType):
            raise FrameError(
                f"frame spec: got kind {self.kind!r}, dtype {self.dtype!r}; expected one of "
                f"{', '.join(get_args(Kind))} and one of {', '.join(get_args(DType))}"
            )
        limit = 65535 if self.dtype == "sparse8" else 2**31 - 1
        if not 1 <= self.width <= limit or not self.hop_s > 0:
            raise FrameError(
                f"frame spec: got width {self.width}, hop_s {self.hop_s}; "
                f"expected a width of 1..{limit} and a positive hop"
            )
        if self.columns and len(self.columns) != self.width:
            raise FrameError(
                f"frame spec: got {len(self.columns)} names of columns; expected {self.width}"
            )

    def metadata(self) -> dict[str, str]:
        """The spec as schema metadata."""
        values = asdict(self)
        columns = values.pop("columns")
        named = {"columns": json.dumps(columns, ensure_ascii=False)} if columns else {}
        texts = {name: str(value) for name, value in values.items()}
        return {"format_version": str(FORMAT_VERSION), **texts, **named}

    @classmethod
    def from_metadata(cls, metadata: dict[bytes, bytes] | None) -> "FrameSpec":
        """The spec of schema metadata; `ValueError` for another format or version."""
        found = {k.decode(): v.decode() for k, v in (metadata or {}).items()}
        version = found.pop("format_version", None)
        if version != str(FORMAT_VERSION):
            raise FrameError(f"got format version {version}; expected {FORMAT_VERSION}")
        columns = tuple(json.loads(found.pop("columns", "[]")))
        if found.keys() != {each.name for each in fields(cls)} - {"columns"}:
            raise FrameError(f"got metadata {sorted(found)}; expected a frame spec's")
        typed: dict[str, Any] = found | {
            "width": int(found["width"]),
            "hop_s": float(found["hop_s"]),
            "first_frame_s": float(found["first_frame_s"]),
            "columns": columns,
        }
        return cls(**typed)


class FrameFile:
    """One file of frame sequences, read by key. Use `FrameFile.open`."""

    def __init__(
        self,
        path: str,
        reader: Any,
        spec: FrameSpec,
        rows: dict[str, tuple[int, int, int]],
        *,
        has_checksums: bool,
        memory: mmap.mmap | None = None,
    ):
        self.path = path
        self.spec = spec
        self._reader = reader
        self._rows = rows
        self._memory = memory
        self._batch: tuple[int, Any, Any] = (-1, None, None)  # its place, it, and its checksums
        # of what was read once the checksum is known to be right; None: the file has none
        self._sound: set[tuple[int, int]] | None = set() if has_checksums else None

    @classmethod
    def open(cls, store: Store, name: str) -> "FrameFile":
        """Open a file of a store: memory-mapped where the store is local.

        Raises `FileNotFoundError` where there is none, and `ValueError` for a truncated or foreign
        file, another format version, and a key that is there twice.
        """
        path = store.path(name)
        size = store.size(name)
        if size is None:
            raise MissingFileError(f"{path}: no such file; expected frame sequences")
        try:
            if size == 0:
                raise FrameError("it is empty")
            with naming(path):
                memory = mapped(path) if store.is_local else None
                source = store.open(name) if memory is None else pa.BufferReader(memory)
            reader = pa.ipc.open_file(source)
            check_batches(cast(BinaryIO, source), reader.num_record_batches)
            metadata, has_checksums = checked_entries(reader.schema.metadata or {})
            spec = FrameSpec.from_metadata(metadata)
            if not reader.schema.equals(COLUMNS):
                raise FrameError(f"got columns {reader.schema.names}; expected {COLUMNS.names}")
            options = pa.ipc.IpcReadOptions(included_fields=[0, 1])
            no_values = pa.ipc.open_file(source, options=options)
            rows: dict[str, tuple[int, int, int]] = {}  # place, and number of frames
            for batch in range(reader.num_record_batches):
                found, sums = no_values.get_batch_with_custom_metadata(batch)
                if has_checksums:
                    check_keys(_valid(found), sums)
                keys, counts = _valid(found).columns
                pairs = zip(keys.to_pylist(), counts.to_pylist(), strict=True)
                for row, (key, count) in enumerate(pairs):
                    if key in rows:
                        raise FrameError(f"holds {key} twice; expected each clip once")
                    rows[key] = (batch, row, count)
        except StoreError:
            raise
        except (pa.ArrowException, ValueError, OSError) as error:  # pyarrow also raises the latter
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise FrameError(
                f"{path}: is no whole file of frame sequences ({reason}); write it again"
            ) from error
        return cls(path, reader, spec, rows, has_checksums=has_checksums, memory=memory)

    @property
    def keys(self) -> tuple[str, ...]:
        """The clips, in the order written."""
        return tuple(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def count(self, key: str) -> int:
        """How many frames a clip has."""
        return self._place(key)[2]

    def read(self, key: str, first: int = 0, stop: int | None = None) -> Floats:
        """A clip's frames `(n, width)` in float32, all or those in `[first, stop)` of them.

        Only the frames asked for are converted; float32 files give a view without a copy.
        """
        batch, row = self._locate(key)
        try:
            frames = batch.column(1)[row].as_py()
            data = batch.column(2)[row].as_buffer()
            if self.spec.dtype == "sparse8":
                return decode_sparse8(data, frames, self.spec.width, first, stop)
            stored = np.frombuffer(data, self.spec.dtype).reshape(frames, self.spec.width)
        except (pa.ArrowException, ValueError, IndexError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise FrameError(f"{self.path}: {key} is damaged ({reason}); write it again") from error
        return stored[first:stop].astype(np.float32, copy=False)

    def positions(self, key: str) -> npt.NDArray[np.int32] | None:
        """The grid indices `(n,)` of a clip's frames, or None where all frames were kept."""
        batch, row = self._locate(key)
        value = batch.column(3)[row]
        return np.asarray(value.values, np.int32) if value.is_valid else None

    def release(self) -> None:
        """Let go of the batch that was read last, and of pages; views of them stay good."""
        self._batch = (-1, None, None)
        if self._memory is not None:
            give_back(self._memory)

    def _place(self, key: str) -> tuple[int, int, int]:
        if key not in self._rows:
            raise FrameError(
                f"{key}: is not in {self.path}; expected one of its {len(self._rows)} keys"
            )
        return self._rows[key]

    def _locate(self, key: str) -> tuple[Any, int]:
        batch, row, _ = self._place(key)
        kept = self._batch  # looked at once: another thread may read another batch meanwhile
        if kept[0] != batch:  # neighbours share a batch: fetch it once
            with _damage(f"{self.path}: is", pa.ArrowException), naming(self.path):
                found, sums = self._reader.get_batch_with_custom_metadata(batch)
                kept = self._batch = (batch, _valid(found), sums)
        if self._sound is not None and (batch, row) not in self._sound:
            with _damage(f"{self.path}: {key} is", FrameError, pa.ArrowException, ValueError):
                check_row(kept[1], row, kept[2])
            self._sound.add((batch, row))
        return kept[1], row


@contextlib.contextmanager
def _damage(what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Tell errors of these kinds as damage, by the first of their lines."""
    try:
        yield
    except kinds as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FrameError(f"{what} damaged ({reason}); write it again") from error


def _valid(batch: Any) -> Any:
    """The batch, its offsets checked: pyarrow ends the process where damaged ones lead outside."""
    batch.validate(full=True)
    return batch
