"""Tars as strangers write them."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

RATE = 8000


def sound(seed: int = 0, form: str = "FLAC", seconds: float = 0.5) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * RATE))
    sf.write(buffer, noise, RATE, format=form)
    return buffer.getvalue()


def write_tar(path: Path, members: list[tuple[str, Any]]) -> Path:
    """Members in their order; dictionaries become JSON, texts UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, value in members:
            data = json.dumps(value).encode() if isinstance(value, dict | list) else value
            data = data.encode() if isinstance(data, str) else data
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
