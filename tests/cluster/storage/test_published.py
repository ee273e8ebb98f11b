"""What others published is named in full, and is what we have a copy of."""

import hashlib
import re
from pathlib import Path

from cluster.storage.published import PUBLISHED


def test_published_checkpoints_are_named_in_full() -> None:
    for file in PUBLISHED.values():
        assert file.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_the_published_mn04_is_the_file_we_have(shared_dir: Path) -> None:
    sha256 = PUBLISHED["mn04"].sha256
    found = [
        path
        for path in shared_dir.rglob("mn04*.pt")
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    ]
    assert found
