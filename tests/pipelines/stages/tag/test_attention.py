"""`pmam attention`: where M2D looks, drawn of files with and without a head."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from m2d_cases import SMALL, published
from tone_tagger import write_tones

from pipelines.cli.main import main
from pipelines.stages.tag.attention import attention_maps, load_m2d
from pmam.encoders.m2d import encoder
from pmam.encoders.m2d.state_dict_names import FINE_TUNED


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(encoder.SIZES, "m2d", SMALL)
    torch.save(published(SMALL), tmp_path / "pretrained.pth")
    torch.save(published(SMALL, FINE_TUNED, 24), tmp_path / "tuned.pth")
    return tmp_path


def test_a_map_is_the_mean_attention_that_patches_get(weights: Path) -> None:
    model = load_m2d(str(weights / "pretrained.pth"))
    samples = np.random.default_rng(0).standard_normal(16000 * 2).astype(np.float32)
    logmel, got = attention_maps(model, samples, block=1)
    assert logmel.shape == (80, 201) and got.shape == (SMALL.heads, 5, 201 // 16)
    paid = model.attention(torch.from_numpy(logmel)[None], 1)[0]
    tokens = paid.shape[-1]
    # Patches are in the order of their rows; the class token is the first.
    row, column = 3, 7
    of_patch = paid[:, 1:, 1 + row * (201 // 16) + column].mean(dim=1) * tokens
    np.testing.assert_allclose(got[:, row, column], of_patch, rtol=1e-5)


def test_pictures_are_drawn_with_and_without_a_head(weights: Path, tmp_path: Path) -> None:
    file = write_tones(tmp_path / "a.wav", [("Rain", 12)])
    for name in ("pretrained.pth", "tuned.pth"):
        out = tmp_path / name.removesuffix(".pth")
        given = ["--weights", str(weights / name), "--output-dir", str(out), "--start-s", "9"]
        main(["attention", str(file), *given])
        assert (out / "0001-a.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn(weights: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    file = write_tones(tmp_path / "a.wav", [("Rain", 2)])
    given = ["attention", file, "--output-dir", tmp_path / "out", "--weights"]
    ours = weights / "pretrained.pth"
    assert "ends at 2.00 s" in refused(*given, ours, "--start-s", "3")
    assert "one patch" in refused(*given, ours, "--start-s", "1.99")
    assert "block 3: expected one from 0 to 2" in refused(*given, ours, "--block", "3")
    assert "expected 0 or more" in refused(*given, ours, "--start-s=-1")
    torch.save({"other": torch.zeros(2)}, tmp_path / "other.pt")
    assert "not the weights of M2D" in refused(*given, tmp_path / "other.pt")


def test_a_file_without_a_head_does_not_tag(
    weights: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Rain", 2)])
    line = refused("tag", file, "--encoder", "m2d", "--weights", weights / "pretrained.pth")
    assert "no tagging head" in line and "fine-tuned" in line
