"""Weights that others published."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pickle_bomb import Bomb

from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import (
    CheckpointError,
)
from pmam.models.published import load_published, read_published


def test_published_weights_never_run_code(tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.pt"
    torch.save({"weight": Bomb(mark)}, file)
    with pytest.raises(CheckpointError) as raised:
        read_published(file)
    assert not mark.exists()
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"w": torch.zeros(2)}}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "weights.pt"
    torch.save(content, file)
    with pytest.raises(CheckpointError, match="state dict") as raised:
        read_published(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_what_is_no_file_of_torch_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    for data in (b"", b"not weights", b"PK\x03\x04 nearly"):
        file.write_bytes(data)
        with pytest.raises(CheckpointError) as raised:
            read_published(file)
        assert str(raised.value).startswith(f"{file}: ")
        assert "\n" not in str(raised.value)
    with pytest.raises(CheckpointError, match="no such file"):
        read_published(tmp_path / "elsewhere.pt")


def test_weights_of_another_network_do_not_fit() -> None:
    encoder = build_encoder(EncoderSettings(name="mn04"))
    with pytest.raises(CheckpointError) as raised:
        load_published(encoder, {"conv.weight": torch.zeros(3)}, "other.pt")
    assert str(raised.value).startswith("other.pt: ")
    assert "\n" not in str(raised.value)
