"""Small frame files."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.frames.checksums import SPEC
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter


def spec(**changes: Any) -> FrameSpec:
    return FrameSpec(
        **{"kind": "features", "width": 4, "dtype": "float32", "hop_s": 0.08} | changes
    )


def clips(count: int = 5, width: int = 4, seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    return {
        f"clip{i}": generator.random((int(generator.integers(1, 40)), width), np.float32)
        for i in range(count)
    }


def write(path: Path, rows: dict[str, Any], the_spec: FrameSpec) -> Path:
    with FrameWriter(path, the_spec) as writer:
        for key, frames in rows.items():
            writer.add(key, frames)
    return path


def without_checksums(path: Path) -> None:
    """Make a frame file what it was before there were checksums."""
    with pa.ipc.open_file(path) as reader:
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        schema = reader.schema
    entries = {name: text for name, text in schema.metadata.items() if name != SPEC}
    with pa.ipc.new_file(path, schema.with_metadata(entries)) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(entries))
