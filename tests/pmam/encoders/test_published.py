"""What others published is named in full, and is what we have a copy of."""

import hashlib
import re
from pathlib import Path

from pmam.encoders.registry import ENCODERS, published_weights
from pmam.encoders.settings import EncoderSettings


def test_published_checkpoints_are_named_in_full() -> None:
    files = published_weights()
    assert {name: file.name for name, file in files.items()} == {
        "mn04": "mn04",
        "mn10": "mn10",
        "passt": "passt-s",
        "passt_cnn": "passt-s",
    }
    for file in files.values():
        assert file.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_encoders_that_need_weights_say_which() -> None:
    for name, make in ENCODERS.items():
        encoder = make(EncoderSettings(name=name))
        assert (encoder.published is not None) == encoder.needs_weights, name


def test_the_published_mn04_is_the_file_we_have(shared_dir: Path) -> None:
    sha256 = published_weights()["mn04"].sha256
    found = [
        path
        for path in shared_dir.rglob("mn04*.pt")
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    ]
    assert found
