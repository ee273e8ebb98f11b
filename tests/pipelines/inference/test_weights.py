"""Weights by name, by URL, and as checkpoints of ours."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.storage.download import FetchError
from pipelines.inference import weights
from pipelines.inference.weights import (
    OF_ENCODERS,
    PUBLISHED,
    load_weights,
    weights_file,
    weights_url,
    with_published_weights,
)
from pipelines.runtime.files.urls import store, write_checkpoint
from pmam.clustering.pca import moments
from pmam.deferred import Deferred
from pmam.encoders.registry import ENCODERS, build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import CheckpointError, pack_encoder
from shards.io import retry


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, Any]]:
    """Stands for the network: keeps what was fetched, and gives a file of three bytes."""
    fetched: list[tuple[str, Any]] = []

    def fetch(url: str, *, waits: object, give_name: object, sha256: str | None = None) -> Path:
        assert waits is retry.waits  # the one rule
        fetched.append((url, sha256))
        file = tmp_path / "download.pt"
        file.write_bytes(b"abc")
        return file

    monkeypatch.setattr(weights, "fetch", fetch)
    weights_file.cache_clear()
    return fetched


def test_every_encoder_that_needs_weights_has_some() -> None:
    kinds = {name: entry.target for name, entry in ENCODERS.items() if isinstance(entry, Deferred)}
    assert kinds.keys() == ENCODERS.keys()
    assert set(OF_ENCODERS) == {name for name, kind in kinds.items() if kind.needs_weights}


def test_names_become_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    passt = EncoderSettings(name="passt_cnn")
    assert with_published_weights(passt).weights == PUBLISHED["passt-s"].url
    named = EncoderSettings(name="mn04", weights="mn04")
    assert with_published_weights(named).weights == PUBLISHED["mn04"].url
    own = EncoderSettings(name="mn04", weights="mine.pt")
    assert with_published_weights(own).weights == str(tmp_path / "mine.pt")
    assert with_published_weights(EncoderSettings(name="cnn")).weights is None
    (tmp_path / "mn04").write_bytes(b"")  # a file of that name comes first
    assert weights_url("mn04") == str(tmp_path / "mn04")


def test_downloads_are_held_to_what_is_known(
    downloads: list[tuple[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    sha256 = hashlib.sha256(b"abc").hexdigest()
    with caplog.at_level(logging.WARNING, "pmam"):
        weights_file("passt-s")
        weights_file(PUBLISHED["mn04"].url)
        weights_file(f"https://host/w.pt#sha256={sha256}")
        assert not caplog.records
        weights_file("https://host/w.pt?token=secret")
    assert downloads == [
        (PUBLISHED["passt-s"].url, PUBLISHED["passt-s"].sha256),
        (PUBLISHED["mn04"].url, PUBLISHED["mn04"].sha256),
        ("https://host/w.pt", sha256),
        ("https://host/w.pt?token=secret", None),
    ]
    assert f"https://host/w.pt: its sha256 is {sha256}, and nothing says" in caplog.text
    assert "secret" not in caplog.text


def test_a_pinned_file_that_is_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"abc")
    with pytest.raises(FetchError, match="expected 0000"):
        weights_file(f"{tmp_path}/w.pt#sha256={'0' * 64}")


def test_an_encoder_of_ours_gives_its_weights_but_not_its_calibration(tmp_path: Path) -> None:
    def noise(encoder: Any, seed: int) -> Any:
        torch.manual_seed(seed)
        raw = encoder.raw(0.1 * torch.randn(1, 32000))[0]
        return moments(lambda: iter([raw]))

    settings = EncoderSettings(name="mn04", pca=4)
    kept, other = build_encoder(settings), build_encoder(EncoderSettings(name="mn04", seed=1))
    kept.calibration.fit(noise(kept, 0))
    write_checkpoint(store(str(tmp_path)), "mn04", pack_encoder(kept))
    load_weights(other, f"{tmp_path}/mn04.safetensors")
    assert not bool(other.calibration.fitted)
    for name, value in kept.state_dict().items():
        if not name.startswith("calibration."):
            assert torch.equal(value, other.state_dict()[name]), name
    with pytest.raises(CheckpointError, match="holds mn04; expected the encoder small_cnn"):
        load_weights(build_encoder(EncoderSettings()), f"{tmp_path}/mn04.safetensors")
