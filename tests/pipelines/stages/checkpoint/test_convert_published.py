"""PMAM's own checkpoints, at full size, through `pmam checkpoint`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from parity_rule import load, tensors

from pipelines.cli.main import main
from pipelines.runtime.files.urls import read_checkpoint
from pmam.encoders.base import FrameEncoder
from pmam.models.checkpoint import unpack
from pmam.models.detector import DetectorModel
from pmam.models.importers.detect_format import DESED_CLASSES
from pmam.models.masked_audio_model import MaskedAudioModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def pretrained(parity_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pretraining on several GPUs saves it: LoRA beside the weights, `module.` before all."""
    file = tmp_path_factory.mktemp("published") / "best_model.pt"
    published = tensors(load(parity_dir, "03_passt_cnn_mlm")[0])
    torch.save({f"module.{k}": v for k, v in published.items()}, file)
    return file


@pytest.fixture(scope="module")
def finetuned(parity_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("published") / "best_student.pt"
    torch.save(tensors(load(parity_dir, "04_passt_cnn_sed")[0]), file)
    return file


def converted(
    file: Path, out: Path, *options: str
) -> FrameEncoder | MaskedAudioModel | DetectorModel:
    main(["checkpoint", "convert", str(file), str(out), *options])
    return unpack(read_checkpoint(str(out)), str(out))


def test_what_they_are(
    pretrained: Path, finetuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["checkpoint", "show", str(pretrained)])
    shown = capsys.readouterr().out
    for fact in ("PMAM or MAT-SED", "with the prefix `module.`", "not counted twice", "  masked\n"):
        assert fact in shown
    assert "prototypes      30\n" in shown
    main(["checkpoint", "show", str(finetuned)])
    shown = capsys.readouterr().out
    assert f"classes         {', '.join(DESED_CLASSES)}\n" in shown
    assert "context         transformer_xl, 3 layers of 384 channels, 12 heads, 384 in" in shown
    assert "fits            yes\n" in shown


def test_a_pretrained_model_comes_over_with_lora_counted_once(
    pretrained: Path, tmp_path: Path
) -> None:
    model = converted(pretrained, tmp_path / "pretrained")
    assert isinstance(model, MaskedAudioModel)
    theirs = torch.load(pretrained, weights_only=True, mmap=True)
    weight = theirs["module.backbone.blocks.9.attn.qkv.weight"]
    ours = model.state_dict()["backbone.encoder.transformer.passt.blocks.9.attn.qkv.weight"]
    assert torch.equal(ours, weight)


def test_a_detector_comes_over_with_its_classes(finetuned: Path, tmp_path: Path) -> None:
    named = [f"class {n}" for n in range(10)]
    options = ["--detector.temperature", "0.5", "--detector.sliding.frames", "512"]
    model = converted(finetuned, tmp_path / "named", "--classes", *named, *options)
    assert isinstance(model, DetectorModel)
    assert model.classes == tuple(named)
    assert (model.settings.temperature, model.settings.sliding.frames) == (0.5, 512)
    theirs = torch.load(finetuned, weights_only=True, mmap=True)
    assert torch.equal(model.classifier.weight, theirs["classifier.weight"])


def test_the_encoder_of_a_detector_comes_over_alone(finetuned: Path, tmp_path: Path) -> None:
    encoder = converted(finetuned, tmp_path / "encoder", "--kind", "encoder")
    assert isinstance(encoder, FrameEncoder)
    assert (encoder.settings.name, encoder.settings.weights) == ("passt_cnn", None)


def test_what_does_not_fit_is_listed(
    finetuned: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    published = torch.load(finetuned, weights_only=True)
    del published["out_norm.bias"]
    published["classifier.weight"] = torch.zeros(10, 7)
    file = tmp_path / "broken.pt"
    torch.save(published, file)
    line = refused("checkpoint", "convert", file, tmp_path / "out")
    assert "1 missing (backbone.encoder.transformer.out_norm.bias)" in line
    assert "1 of another shape (classifier.weight (10, 7) for (10, 384))" in line
    assert "cannot" not in line
    line = refused("checkpoint", "convert", finetuned, tmp_path / "out", "--kind", "masked")
    assert "no masked model: head.2.bias missing" in line
