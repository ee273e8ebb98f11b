"""Index rows without any audio behind them."""

from typing import Any

from shards.clip import escape_key
from shards.index import IndexRow


def index_row(source_id: str, **values: Any) -> IndexRow:
    """A clip of one second."""
    return IndexRow(
        **{
            "key": escape_key(source_id),
            "source_id": source_id,
            "shard": "shards/0.tar",
            "offset": 512,
            "size": 1000,
            "codec": "wav",
            "sample_rate_hz": 8000,
            "num_samples": 8000,
            "channels": 1,
            "checksum": "0" * 64,
            "crc32": 0,
            "subset": "weak",
            "recording": None,
            "fold": None,
            "weak": None,
            "events": None,
            "meta": {},
            **values,
        }
    )
