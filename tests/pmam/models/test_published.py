"""Weights that others published."""

import argparse
import zipfile
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


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"w": 1}}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "weights.pt"
    torch.save(content, file)
    with pytest.raises(CheckpointError, match="state dict") as raised:
        read_published(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_the_model_of_a_training_script_and_of_an_archive_comes_out(tmp_path: Path) -> None:
    file, weight = tmp_path / "checkpoint-300.pth", torch.arange(3.0)
    training = {"model": {"w": weight}, "epoch": 3, "args": argparse.Namespace(lr=0.1)}
    torch.save(training, file)
    archive = tmp_path / "published.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.write(file, "m2d_vit_base-80x608p16x16/checkpoint-300.pth")
        out.writestr("m2d_vit_base-80x608p16x16/README.md", "text")
    for path in (file, archive):
        assert read_published(path).keys() == {"w"}
        assert torch.equal(read_published(path)["w"], weight)
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr("../second.pt", b"")
    with pytest.raises(CheckpointError, match="an archive with 2 files of weights"):
        read_published(archive)


def test_archives_never_run_code(tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.pth"
    torch.save({"model": {"weight": Bomb(mark)}}, file)
    archive = tmp_path / "published.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(file, "weights.pth")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        read_published(archive)
    assert not mark.exists()


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
